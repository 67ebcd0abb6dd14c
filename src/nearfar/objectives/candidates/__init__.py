"""Which rows there are, and which columns each of them sees."""
