"""Encoders: a protocol of two methods, and adapters for what people have.

``encoders.locate`` finds a model without importing PyTorch, so that a wrong name answers at once;
``encoders.load`` opens it.
"""
