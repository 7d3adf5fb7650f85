"""``python -m duplex_evals``: the same as ``duplex-evals``."""

from duplex_evals.cli import main

main()
