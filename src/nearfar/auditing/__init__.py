"""What is wrong with a data set before anybody trains on it, with counts, texts and an order for a human."""
