"""The agent's voice beside its teacher's: words, quality, likeness, cost, endurance."""
