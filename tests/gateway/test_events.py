"""The table of events against those who rely on it: the page, and the tests' light session."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.duplex.events import EVENT_TYPES

# What the gateway adds to the events of the session before they leave.
ADDED = {"unheard_ms", "transport_ms", "restored"}


def test_the_page_listens_for_events_that_exist() -> None:
    page = (resources.files("duplex_agent.gateway") / "web" / "app.js").read_text()
    handled = page[page.index("const handlers") : page.index("function receive")]
    names = set(re.findall(r'^  "([\w.]+)": \(', handled, re.MULTILINE))
    source = resources.files("duplex_agent.gateway").joinpath("call.py").read_text()
    own = set(re.findall(r'_emit\(\s*"([\w.]+)"', source))
    assert len(names) > 8
    assert names <= set(EVENT_TYPES) | own
    fields = set(re.findall(r"event\.(\w+)", handled))
    assert fields <= {name for data in EVENT_TYPES.values() for name in data} | ADDED | {"code"}


def test_the_light_session_speaks_as_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "engine"))
    from light_session import EchoSession

    session = EchoSession()
    loud = np.full(USER_TICK_SAMPLES, 0.1, np.float32)
    seen = set()
    for pcm in [loud] * 8 + [loud * 0] * 8 + [loud] * 4 + [loud * 0] * 20:
        for event in session.tick(pcm).events:
            assert set(event.data) == set(EVENT_TYPES[event.type]), event.type
            seen.add(event.type)
    assert {"user.turn_ended", "reply.started", "playback.flush", "reply.done"} <= seen
