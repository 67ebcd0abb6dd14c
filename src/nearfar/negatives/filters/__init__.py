"""What drops candidates, and why."""
