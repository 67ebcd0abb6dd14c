"""What happens to a similarity before the criterion."""
