"""duplex-agent: a full-duplex spoken dialogue agent on an 80 ms clock."""

__version__ = "0.1.0"
