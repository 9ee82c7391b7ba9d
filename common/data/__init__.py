"""Images: fetched, verified, decoded, ordered and changed."""
