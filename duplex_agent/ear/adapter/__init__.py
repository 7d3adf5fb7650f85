"""The neural adapter: what the thinker is told in place of the words as spelled, where asked."""
