"""What makes each framework's page exact, fast or measurable: a folder a framework, with the same files."""
