"""What the LLM learns from: its own replies, LoRA layers, frozen and tiny models."""
