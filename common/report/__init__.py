"""The pages and figures, rendered from the tables."""
