"""Signals: what is made, what is changed, and where in a channel somebody speaks."""
