"""Everything the two frameworks share; nothing here imports either of them."""
