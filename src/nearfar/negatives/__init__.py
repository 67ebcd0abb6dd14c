"""Negatives: where candidates come from, which are dropped and why, which are kept."""
