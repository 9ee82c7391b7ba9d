"""Networks as a porter writes them, and mistakes planted in them, by which common.port is judged."""
