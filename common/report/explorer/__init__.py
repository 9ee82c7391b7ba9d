"""The explorer: one HTML file with verdicts, speeds, every run and the curves, which needs no network."""
