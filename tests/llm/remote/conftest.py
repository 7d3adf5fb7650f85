"""Lets the tests of this folder import the scripted conversation, and gives them a server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "duplex"))

from chat_server import ChatServer


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A chat endpoint on a free port of this machine."""
    with ChatServer() as running:
        yield running
