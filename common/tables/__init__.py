"""The CSV files of results/: rows, columns, reading and writing; and the machine of a run."""
