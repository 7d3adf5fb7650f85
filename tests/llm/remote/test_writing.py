"""Text from a stream in whole words, however it was cut; messages that any chat template takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.errors import ContextFull
from duplex_agent.llm.protocol import Heard, Written
from duplex_agent.llm.remote.chat_events import TextDelta
from duplex_agent.llm.remote.client import ChatStream
from duplex_agent.llm.remote.messages import LONGEST_INSTRUCTIONS, LONGEST_TURN, Messages
from duplex_agent.llm.remote.remote_llm import RemoteGeneration
from duplex_agent.llm.requests import Receive

WORDS = st.lists(st.text("aé9.☃", min_size=1, max_size=6), min_size=1, max_size=12)
SAID = st.text("abc ", min_size=1, max_size=12).map(str.strip).filter(bool)
NO_TOKEN = np.zeros(0, dtype=np.float32)


def write(generation: RemoteGeneration, stream: ChatStream) -> list[Written]:
    """What has arrived by now."""
    steps = generation.write(1, waited_ms=60_000)
    try:
        request = next(steps)
        assert isinstance(request, Receive)
        steps.send(request.stream.take(request.waited_ms, wait=False))
    except StopIteration as done:
        written: list[Written] = done.value
        return written
    raise AssertionError("it asks once")


@given(
    WORDS, st.lists(st.sampled_from([" ", "\n", "  ", "\t\n"]), min_size=12, max_size=12), st.data()
)
def test_however_a_reply_is_cut_it_is_written_in_whole_words(
    words: list[str], gaps: list[str], data: st.DataObject
) -> None:
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False)).rstrip()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    stream = ChatStream()
    generation = RemoteGeneration(stream)
    written = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        stream.put(TextDelta(text[start:end], end == len(text)))
        if data.draw(st.booleans()):
            written += [delta.text for delta in write(generation, stream)]
    written += [delta.text for delta in write(generation, stream)]
    assert "".join(written) == generation.text == " ".join(words) + " "
    assert [word for delta in written for word in delta.split(" ") if word] == words
    assert generation.done
    assert write(generation, stream) == []
    assert generation.heard(len(generation.text)) == Heard(len(words), " ".join(words))


@given(st.lists(st.tuples(SAID, st.just("") | SAID), max_size=12), SAID)
def test_roles_take_turns_whatever_was_left_unanswered(
    pairs: list[tuple[str, str]], asked: str
) -> None:
    record = Messages("Be kind.", kept_chars=60)
    for user, agent in pairs:
        record.hear(NO_TOKEN, f" {user}")
        record.end_reply(1, agent)
    record.hear(NO_TOKEN, asked)
    system, *rest = record.to_send()
    assert system == {"role": "system", "content": "Be kind."}
    assert [m["role"] for m in rest] == ["user", "assistant"] * (len(rest) // 2) + ["user"]
    kept = [(e.user, e.agent) for e in record.pairs]
    assert kept == pairs[len(pairs) - len(kept) :]
    assert sum(len(user) + len(agent) for user, agent in kept) <= 60
    lines = [line for m in rest for line in m["content"].split("\n")]
    assert lines == [side for pair in kept for side in pair if side] + [asked]


def test_a_turn_of_text_comes_after_the_turn_pair_in_progress() -> None:
    record = Messages("")
    record.add_text_turn("assistant", "Welcome.")
    record.hear(NO_TOKEN, " hello")
    record.add_text_turn("user", "I am Ann.")
    told = [("assistant", "Welcome."), ("user", "hello")]
    assert [(m["role"], m["content"]) for m in record.to_send()] == told
    record.roll_back()
    record.hear(NO_TOKEN, " there")
    record.end_reply(1, "Hi.")
    record.hear(NO_TOKEN, " who am I")
    assert [(m["role"], m["content"]) for m in record.to_send()] == [
        ("assistant", "Welcome."),
        ("user", "hello there"),
        ("assistant", "Hi."),
        ("user", "I am Ann.\nwho am I"),
    ]


def test_text_that_is_too_long_is_refused_with_the_limit_and_changes_nothing() -> None:
    record = Messages("Be kind.")
    with pytest.raises(ContextFull, match=str(LONGEST_INSTRUCTIONS)):
        record.set_instructions("x" * (LONGEST_INSTRUCTIONS + 1))
    with pytest.raises(ContextFull, match=str(LONGEST_TURN)):
        record.add_text_turn("user", "x" * (LONGEST_TURN + 1))
    assert record.to_send() == [{"role": "system", "content": "Be kind."}]


def test_a_turn_without_end_finds_no_more_room() -> None:
    record = Messages("")
    while record.room > 0:
        record.hear(NO_TOKEN, " more")
    assert len(record.user_text) <= LONGEST_TURN + len(" more")
    assert [m["role"] for m in record.to_send()] == ["user"]


def test_letters_without_an_end_of_a_word_are_not_waited_for() -> None:
    stream = ChatStream()
    generation = RemoteGeneration(stream, longest=100)
    stream.put(TextDelta("Well, " + "o" * 200, False))
    assert [delta.text for delta in write(generation, stream)] == ["Well, "]
    assert generation.done
