"""One cause a file. ``registry`` has them all."""
