"""Images: downloaded, verified, decoded, put in order, augmented and normalised."""
