"""Whoever is measured, and how a list of conversations is held with them."""
