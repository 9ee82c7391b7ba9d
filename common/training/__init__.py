"""One run: from initial weights to a row in the tables."""
