"""A language model behind a URL as the mind of a conversation."""
