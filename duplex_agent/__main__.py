"""``python -m duplex_agent`` is the ``duplex-agent`` command."""

from duplex_agent.cli import main

main()
