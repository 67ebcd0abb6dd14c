"""Comparing systems: cells that are trained and measured, and what can be said from those that are finished."""
