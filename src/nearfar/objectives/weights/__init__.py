"""Weights of rows, of positives and of negatives."""
