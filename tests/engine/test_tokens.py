"""What the ear gives, as far as a chat endpoint is concerned."""

import pytest

from duplex_agent.engine.sessions import load_parts
from duplex_agent.errors import LlmError
from duplex_agent.llm.remote.endpoint import endpoint_of


def test_a_chat_endpoint_cannot_be_sent_the_adapters_tokens():
    endpoint = endpoint_of("http://localhost:1/v1", "any", 1.0)
    with pytest.raises(LlmError, match=r"no 6\.25hz tokens with --llm"):
        load_parts(endpoint, tokens="6.25hz")
