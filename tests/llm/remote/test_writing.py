"""Text from a stream in whole words, however it was cut; messages that any chat template takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.errors import ContextFull
from duplex_agent.llm.mind import Heard
from duplex_agent.llm.remote.chat_events import Piece
from duplex_agent.llm.remote.client import ChatStream
from duplex_agent.llm.remote.messages import LONGEST_INSTRUCTIONS, LONGEST_TURN, Messages
from duplex_agent.llm.remote.mind import RemoteWriter

WORDS = st.lists(st.text("aé9.☃", min_size=1, max_size=6), min_size=1, max_size=12)
SAID = st.text("abc ", min_size=1, max_size=12).map(str.strip).filter(bool)
NO_TOKEN = np.zeros(0, dtype=np.float32)


@given(
    WORDS, st.lists(st.sampled_from([" ", "\n", "  ", "\t\n"]), min_size=12, max_size=12), st.data()
)
def test_however_a_reply_is_cut_it_is_written_in_whole_words(
    words: list[str], gaps: list[str], data: st.DataObject
) -> None:
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False)).rstrip()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    stream = ChatStream()
    writer = RemoteWriter(stream)
    written = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        stream.put(Piece(text[start:end], end == len(text)))
        if data.draw(st.booleans()):
            written += [piece.text for piece in writer.write(1)]
    written += [piece.text for piece in writer.write(1)]
    assert "".join(written) == writer.text == " ".join(words) + " "
    assert [word for piece in written for word in piece.split(" ") if word] == words
    assert writer.done
    assert writer.write(1) == []
    assert writer.heard(len(writer.text)) == Heard(len(words), " ".join(words))


@given(st.lists(st.tuples(SAID, st.just("") | SAID), max_size=12), SAID)
def test_roles_take_turns_whatever_was_left_unanswered(
    exchanges: list[tuple[str, str]], asked: str
) -> None:
    memory = Messages("Be kind.", kept_chars=60)
    for user, agent in exchanges:
        memory.hear(NO_TOKEN, f" {user}")
        memory.end_reply(1, agent)
    memory.hear(NO_TOKEN, asked)
    system, *rest = memory.to_send()
    assert system == {"role": "system", "content": "Be kind."}
    assert [m["role"] for m in rest] == ["user", "assistant"] * (len(rest) // 2) + ["user"]
    kept = [(e.user, e.agent) for e in memory.exchanges]
    assert kept == exchanges[len(exchanges) - len(kept) :]
    assert sum(len(user) + len(agent) for user, agent in kept) <= 60
    lines = [line for m in rest for line in m["content"].split("\n")]
    assert lines == [side for pair in kept for side in pair if side] + [asked]


def test_a_turn_of_text_stands_behind_the_exchange_in_progress() -> None:
    memory = Messages("")
    memory.add_text_turn("assistant", "Welcome.")
    memory.hear(NO_TOKEN, " hello")
    memory.add_text_turn("user", "I am Ann.")
    told = [("assistant", "Welcome."), ("user", "hello")]
    assert [(m["role"], m["content"]) for m in memory.to_send()] == told
    memory.undo_reply()
    memory.hear(NO_TOKEN, " there")
    memory.end_reply(1, "Hi.")
    memory.hear(NO_TOKEN, " who am I")
    assert [(m["role"], m["content"]) for m in memory.to_send()] == [
        ("assistant", "Welcome."),
        ("user", "hello there"),
        ("assistant", "Hi."),
        ("user", "I am Ann.\nwho am I"),
    ]


def test_text_that_is_too_long_is_refused_with_the_limit_and_changes_nothing() -> None:
    memory = Messages("Be kind.")
    with pytest.raises(ContextFull, match=str(LONGEST_INSTRUCTIONS)):
        memory.set_instructions("x" * (LONGEST_INSTRUCTIONS + 1))
    with pytest.raises(ContextFull, match=str(LONGEST_TURN)):
        memory.add_text_turn("user", "x" * (LONGEST_TURN + 1))
    assert memory.to_send() == [{"role": "system", "content": "Be kind."}]


def test_a_turn_without_end_finds_no_more_room() -> None:
    memory = Messages("")
    while memory.room > 0:
        memory.hear(NO_TOKEN, " more")
    assert len(memory.user_text) <= LONGEST_TURN + len(" more")
    assert [m["role"] for m in memory.to_send()] == ["user"]


def test_letters_without_an_end_of_a_word_are_not_waited_for() -> None:
    stream = ChatStream()
    writer = RemoteWriter(stream, longest=100)
    stream.put(Piece("Well, " + "o" * 200, False))
    assert [piece.text for piece in writer.write(1)] == ["Well, "]
    assert writer.done
