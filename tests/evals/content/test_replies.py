"""Which words and which sound answer which turn."""

from typing import Any

import numpy as np
import pytest
from duplex_evals.audio.hum import voice_hum
from duplex_evals.content.replies import replies
from duplex_evals.conversation.record import Placed, Record
from duplex_evals.conversation.scenario import Scenario

pytestmark = pytest.mark.assets


def record(
    agent: list[tuple[int, int]],
    events: list[dict[str, Any]],
    turns: list[tuple[int, int]],
    end_ms: int = 12_000,
) -> Record:
    """Turns of the user and hums of the agent, in ms."""
    audio = np.zeros(end_ms * 24, np.float32)
    for start, end in agent:
        audio[start * 24 : end * 24] = voice_hum(start * 24, end * 24)
    placed = [Placed(f"turn{i}", "turn", "reply", "hello", [t]) for i, t in enumerate(turns)]
    scenario = Scenario(id="by-hand", family="question")
    return Record(scenario, "by hand", 0, np.zeros(end_ms * 16, np.float32), audio, placed, events)


def said(at_ms: int, text: str, reply_id: int = 1) -> dict[str, Any]:
    return {"type": "reply.text.delta", "at_ms": at_ms, "reply_id": reply_id, "text": text}


def started(at_ms: int, reply_id: int = 1) -> dict[str, Any]:
    return {"type": "reply.started", "at_ms": at_ms, "reply_id": reply_id}


def done(at_ms: int, status: str, heard: str, reply_id: int = 1) -> dict[str, Any]:
    return {
        "type": "reply.done",
        "at_ms": at_ms,
        "reply_id": reply_id,
        "status": status,
        "heard_text": heard,
    }


def test_words_and_sound_belong_to_the_turn_before_them() -> None:
    events = [
        started(2000),
        said(2000, "One "),
        said(2080, "two."),
        done(3000, "completed", "One two."),
        started(6000, 2),
        said(6000, "Three.", 2),
        done(7000, "completed", "Three.", 2),
    ]
    first, second = replies(
        record([(2040, 3000), (6000, 7000)], events, [(500, 1500), (4000, 5000)])
    )
    assert (first.text, second.text) == ("One two.", "Three.")
    assert first.latency_ms == pytest.approx(540, abs=20)
    assert second.latency_ms == pytest.approx(1000, abs=20)
    assert first.complete
    assert second.complete
    assert len(first.audio) / 16 == pytest.approx(960 + 200, abs=40)


def test_the_channel_begins_where_the_reply_is_announced() -> None:
    events = [started(1800), said(1800, "Hm."), done(3000, "completed", "Hm.")]
    (reply,) = replies(record([(2040, 3000)], events, [(500, 1500)]))
    assert reply.announced
    leading = np.flatnonzero(np.abs(reply.channel) > 1e-3)[0] / 24
    assert leading == pytest.approx(240, abs=1)


def test_of_an_interrupted_reply_the_heard_part_counts() -> None:
    events = [
        started(2000),
        said(2000, "One two three four."),
        done(3000, "interrupted", "One two"),
    ]
    (reply,) = replies(record([(2000, 3000)], events, [(500, 1500)]))
    assert reply.text == "One two"
    assert not reply.complete


def test_a_reply_that_runs_into_the_end_is_not_complete() -> None:
    events = [started(2000), said(2000, "A very long reply")]
    (reply,) = replies(record([(2000, 4000)], events, [(500, 1500)], end_ms=4000))
    assert reply.answered
    assert not reply.complete


def test_silence_is_no_answer_and_no_words_are_not_empty_words() -> None:
    (reply,) = replies(record([], [], [(500, 1500)]))
    assert not reply.answered
    assert reply.text is None
    assert reply.latency_ms is None
