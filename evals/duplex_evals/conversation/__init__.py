"""A test conversation: its scenario, its clips, its user, and the record of it."""
