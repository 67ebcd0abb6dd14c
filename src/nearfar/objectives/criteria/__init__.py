"""What is done with a processed row."""
