"""Measures the agent through its public doors."""
