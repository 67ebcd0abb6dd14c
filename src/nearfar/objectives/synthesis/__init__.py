"""Columns made from other columns."""
