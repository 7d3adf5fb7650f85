"""Text from a stream in whole words, however it was cut; messages that any chat template takes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duplex_agent.duplex.mind import Heard
from duplex_agent.llm.chat_events import Piece
from duplex_agent.llm.client import ChatStream
from duplex_agent.llm.messages import LONGEST_TURN, Messages
from duplex_agent.llm.remote_mind import RemoteWriter

WORDS = st.lists(st.text("aé9.☃", min_size=1, max_size=6), min_size=1, max_size=12)
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


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30))), st.text(min_size=1))
def test_roles_take_turns_whatever_was_left_unanswered(
    exchanges: list[tuple[str, str]], asked: str
) -> None:
    memory = Messages("Be kind.", kept_chars=200)
    for user, agent in exchanges:
        memory.hear(NO_TOKEN, user)
        memory.end_reply(1, agent)
    memory.hear(NO_TOKEN, asked)
    system, *rest = memory.to_send()
    assert system == {"role": "system", "content": "Be kind."}
    assert [m["role"] for m in rest] == ["user", "assistant"] * (len(rest) // 2) + ["user"]
    assert rest[-1]["content"].endswith(asked.strip())
    assert sum(len(e.user) + len(e.agent) for e in memory.exchanges) <= 200
    latest = [(user.strip(), agent) for user, agent in exchanges]
    kept = [(e.user, e.agent) for e in memory.exchanges]
    assert kept == latest[len(latest) - len(kept) :]


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
