"""Triton kernels of the hot path; plain tensors in and out."""
