"""The adapter that ships: its size, and the ear with it."""

import shutil

import numpy as np
import pytest

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.hearing import HeardWord, TokenKind
from duplex_agent.ear.load import ADAPTER, WEIGHTS, load_ear
from duplex_agent.errors import CheckpointError
from duplex_agent.llm.load import embedding_table
from duplex_agent.train.data.user_speech import HELD_OUT, speak


def hear(tokens: TokenKind, pcm: np.ndarray) -> list[HeardWord]:
    ear = load_ear(tokens=tokens)
    state = ear.new_state()
    ticks = pcm[: len(pcm) // USER_TICK_SAMPLES * USER_TICK_SAMPLES].reshape(-1, USER_TICK_SAMPLES)
    hearings = [ear.step(state, tick) for tick in ticks] + ear.flush(state)
    return [word for hearing in hearings for word in hearing.words]


def test_ear_and_adapter_fit_their_budget():
    assert WEIGHTS.stat().st_size + ADAPTER.stat().st_size <= 14 * 2**20


@pytest.mark.assets
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng makes the voice")
def test_the_kind_of_tokens_changes_what_the_thinker_is_told_and_not_the_transcript():
    pcm = np.pad(speak(HELD_OUT[-1], "Where do tigers live in winter?"), (6000, 6000))
    words, fine, coarse = (hear(kind, pcm) for kind in ("words", "12.5hz", "6.25hz"))
    assert words
    for told in (fine, coarse):
        assert [word.text for word in told] == [word.text for word in words]
        rows = np.concatenate([word.embeddings for word in told])
        assert rows.shape[1] == embedding_table().shape[1]
        assert np.isfinite(rows).all()
    ticks = fine[-1].last_tick + 5
    assert sum(len(word.embeddings) for word in coarse) <= ticks / 2 + len(coarse)


@pytest.mark.assets
def test_other_kinds_of_tokens_are_refused():
    with pytest.raises(CheckpointError, match=r"12\.5hz, 6\.25hz"):
        load_ear(tokens="25hz")  # type: ignore[arg-type]
