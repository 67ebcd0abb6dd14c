"""Pairs that are taken out of the problem."""
