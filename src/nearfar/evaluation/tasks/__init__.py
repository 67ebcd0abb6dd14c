"""What else a model is good for than finding documents: pairs, triplets, lists, classes, clusters, translations."""
