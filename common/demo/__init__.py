"""A page in the browser on which both frameworks recognise a drawn digit."""
