"""Which pairs form a step, and who belongs to whom in it."""
