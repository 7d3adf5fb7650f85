"""Triton kernels of the hot path; plain tensors in and out.

Each operation is a module with `reference` (plain PyTorch) and a dispatcher of the module's name;
its kernels stand beside it in `<name>_triton`, so that neither Triton nor a GPU is needed to import
an operation. Nothing is imported here.
"""
