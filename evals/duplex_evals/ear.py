"""The part ``ear`` of ``duplex_evals.understanding`` by itself: what the ear understands.

python -m duplex_evals.ear [--limit N] [--out FOLDER]
"""

import sys

from duplex_evals.understanding.__main__ import command

if __name__ == "__main__":
    sys.argv.insert(1, "ear")
    command()
