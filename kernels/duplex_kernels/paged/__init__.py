"""Attention over paged caches, and the caches."""
