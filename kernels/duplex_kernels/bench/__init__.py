"""Benchmarks of the kernels: ``python -m duplex_kernels.bench``.

A benchmark module has the name of its kernel and exports ``cases(setting) -> Iterator[Case]``.
"""
