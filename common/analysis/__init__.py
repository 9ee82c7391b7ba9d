"""Numbers from recorded rows; no Markdown and no figures."""
