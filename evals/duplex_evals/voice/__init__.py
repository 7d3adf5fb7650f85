"""The agent's voice beside its teacher's: WER, quality, similarity, cost, drift."""
