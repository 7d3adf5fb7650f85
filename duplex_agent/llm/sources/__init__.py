"""What a language model is read from: a GGUF file, a folder of a hub, or transformers."""
