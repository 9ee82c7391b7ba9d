"""The parts of each framework that make the two scripts exact, quick and measurable."""
