"""The CSV files of results/, and what is recorded of the machine that ran."""
