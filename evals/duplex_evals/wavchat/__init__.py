"""The rows of the WavChat survey's evaluation table (arXiv:2411.13577)."""
