"""Each framework's exact, fast and measurable parts: a folder for each, with the same files."""
