"""Measures the agent from outside: through its tick, its network endpoints and its audio."""
