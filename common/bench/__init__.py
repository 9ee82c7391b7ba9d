"""Many runs: what is missing in the tables, or is to be measured."""
