"""From sound to tokens and from tokens to a reply, as in a conversation."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from duplex_evals.content.written import written_replies
from duplex_evals.conversation.robustness import CONDITIONS
from duplex_evals.understanding.asking import Asker
from duplex_evals.understanding.listening import LEAD_TICKS, TAIL_TICKS, hear
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.clock import USER_TICK_SAMPLES
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.llm.load import load_thinker, shipped_thinker
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.thinker import Thinker


class _LateEar:
    """Gives a word for every loud tick, ``look_ahead_ticks`` later."""

    def __init__(self, look_ahead_ticks: int) -> None:
        self.look_ahead_ticks = look_ahead_ticks

    def new_state(self):
        return SimpleNamespace(past=[False] * self.look_ahead_ticks, spelled=" loud ")

    def step(self, state, pcm):
        state.past.append(bool(np.abs(pcm).max() > 0.4))
        loud = HeardWord(np.zeros((1, 4), np.float32), " loud", 0, 0)
        return Hearing((loud,) if state.past.pop(0) else ())


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 6 * USER_TICK_SAMPLES), late=st.integers(0, 4))
def test_the_delay_counts_from_the_last_sample_of_speech(samples: int, late: int) -> None:
    heard = hear(_LateEar(late), np.full(samples, 0.5, np.float32))
    ticks = -(-samples // USER_TICK_SAMPLES)
    assert len(heard.words) == ticks
    assert heard.delay_ms == pytest.approx((ticks + late) * 80 - samples / 16)
    assert len(heard.compute_ms) == LEAD_TICKS + ticks + TAIL_TICKS
    assert heard.text == " ".join(["loud"] * ticks)
    assert heard.characters == "loud"


def test_nothing_heard_has_no_delay() -> None:
    heard = hear(_LateEar(1), np.full(4000, 0.3, np.float32))
    assert heard.delay_ms is None
    assert heard.text == ""


def test_conditions_act_on_the_quiet_around_the_speech_and_follow_the_seed() -> None:
    arrived: list[np.ndarray] = []

    class _Recorder(_LateEar):
        def step(self, state, pcm):
            arrived.append(pcm.copy())
            return super().step(state, pcm)

    for seed in (1, 1, 2):
        hear(_Recorder(0), np.full(1280, 0.05, np.float32), CONDITIONS["snr10"], seed)
    first, again, other = np.split(np.stack(arrived), 3)
    assert np.abs(first[0]).max() > 0
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@cache
def _thinker() -> Thinker:
    return shipped_thinker()


@pytest.mark.assets
def test_a_single_turn_is_answered_as_in_a_whole_conversation() -> None:
    asker = Asker(_thinker(), LlmSettings())
    for turn in ("Which river flows through Paris?", "I burned the rice again."):
        assert asker.reply_to_text(turn) == written_replies(_thinker(), [turn])[0]


@pytest.mark.assets
def test_a_turn_leaves_nothing_behind() -> None:
    asker = Asker(_thinker(), LlmSettings())
    first = asker.reply_to_text("What is two plus three?")
    asker.reply_to_text("Say nothing but the word banana.")
    assert asker.reply([]) == ""
    assert asker.reply_to_text("What is two plus three?") == first


@pytest.mark.assets
def test_a_turn_longer_than_the_context_is_cut_and_answered() -> None:
    small = LlmSettings(turn_positions=64)
    asker = Asker(load_thinker(max_length=320), small)
    before = asker.reply_to_text("What is two plus three?")
    assert asker.reply_to_text("and so on " * 200)
    assert asker.reply_to_text("What is two plus three?") == before
