"""The floor: the plain rules one by one, then properties over any sequence of inputs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.duplex.floor import (
    Decision,
    Evidence,
    Floor,
    FloorConfig,
    FloorState,
    Kind,
    ticks,
    transition,
)

CONFIG = FloorConfig()
SPEECH, SILENCE = Evidence(0.95), Evidence(0.02)
OVER = Evidence(0.02, voice_over=True)


def run(
    inputs: list[Evidence], config: FloorConfig = CONFIG, state: FloorState | None = None
) -> tuple[FloorState, list[Decision]]:
    """Every decision of a sequence, and the state after it."""
    state = state or FloorState()
    made: list[Decision] = []
    for one in inputs:
        state, decisions = transition(state, one, config)
        made += decisions
    return state, made


def kinds(decisions: list[Decision]) -> list[Kind]:
    return [decision.kind for decision in decisions]


def replying() -> FloorState:
    state, _ = run([SPEECH] * 10 + [SILENCE] * 7)
    assert state.floor is Floor.REPLYING
    return state


def test_a_turn_starts_at_its_first_tick_and_ends_after_560_ms_of_silence() -> None:
    state, made = run([SILENCE] * 3 + [SPEECH] * 10 + [SILENCE] * 6)
    assert kinds(made) == [Kind.TURN_STARTED]
    assert made[0].tick == 3
    state, made = run([SILENCE], state=state)
    assert kinds(made) == [Kind.TURN_ENDED]
    assert made[0].tick == 12
    assert state.floor is Floor.REPLYING
    assert "560 ms" in made[0].reason


def test_one_loud_tick_starts_nothing() -> None:
    assert run(([SPEECH] + [SILENCE] * 3) * 20)[1] == []


def test_a_pause_shorter_than_the_limit_stays_inside_the_turn() -> None:
    _, made = run([SPEECH] * 5 + [SILENCE] * 6 + [SPEECH] * 5 + [SILENCE] * 7)
    assert kinds(made) == [Kind.TURN_STARTED, Kind.TURN_ENDED]


def test_a_noise_of_160_ms_is_no_turn() -> None:
    state, made = run([SPEECH] * 2 + [SILENCE] * 7)
    assert kinds(made) == [Kind.TURN_STARTED, Kind.TURN_DROPPED]
    assert state.floor is Floor.LISTENING


def test_a_doubtful_tick_keeps_speech_going_but_does_not_start_it() -> None:
    doubtful = Evidence(0.4)
    assert run([doubtful] * 50)[1] == []
    state, made = run([SPEECH] * 3 + [doubtful] * 50)
    assert kinds(made) == [Kind.TURN_STARTED]
    assert state.silence_run == 0


@pytest.mark.parametrize("speech_ticks", [1, 2])
def test_a_short_sound_does_not_interrupt(speech_ticks: int) -> None:
    state, made = run([SPEECH] * speech_ticks + [SILENCE] * 5, state=replying())
    assert made == []
    assert state.floor is Floor.REPLYING


def test_240_ms_of_speech_interrupts_and_opens_the_turn_where_it_began() -> None:
    before = replying()
    state, made = run([SILENCE] * 4 + [SPEECH] * 3, state=before)
    assert kinds(made) == [Kind.BARGED_IN, Kind.TURN_STARTED]
    assert made[1].tick == before.tick + 4
    assert state.floor is Floor.YIELDING
    state, made = run([Evidence(0.95, voice_over=True, why="interrupted")], state=state)
    assert kinds(made) == [Kind.REPLY_ENDED]
    assert state.floor is Floor.LISTENING
    assert kinds(run([SPEECH] * 3 + [SILENCE] * 7, state=state)[1]) == [Kind.TURN_ENDED]


def test_speech_that_begins_as_the_reply_ends_is_a_turn_and_no_interruption() -> None:
    state, made = run([SPEECH, SPEECH, Evidence(0.95, voice_over=True)], state=replying())
    assert kinds(made) == [Kind.REPLY_ENDED, Kind.TURN_STARTED]
    assert made[1].tick == state.tick - 3


def test_endless_speech_is_answered_once_and_does_not_interrupt_by_going_on() -> None:
    config = FloorConfig(max_turn_ms=800)
    state, made = run([SPEECH] * 40, config)
    assert kinds(made) == [Kind.TURN_STARTED, Kind.TURN_ENDED]
    state, made = run([SPEECH, Evidence(0.95, voice_over=True), SPEECH, SPEECH], config, state)
    assert kinds(made) == [Kind.REPLY_ENDED, Kind.TURN_STARTED]
    assert made[1].tick == state.tick - 2  # not before the reply
    state, _ = run([SPEECH] * 9 + [SILENCE], config, replace(state, tick=state.tick))
    assert kinds(run([SPEECH] * 3, config, state)[1]) == [Kind.BARGED_IN, Kind.TURN_STARTED]


def test_config_refuses_nonsense() -> None:
    for wrong in (
        {"speech_off": 0.9},
        {"barge_in_ms": 0},
        {"max_turn_ms": 10},
        {"min_turn_ms": 400},
    ):
        with pytest.raises(ValueError, match=r"threshold|duration|turn"):
            FloorConfig(**wrong)  # type: ignore[arg-type]


INPUTS = st.lists(
    st.builds(
        Evidence,
        speech=st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]),
        voice_over=st.sampled_from([False, False, False, True]),
    ).flatmap(lambda one: st.integers(1, 9).map(lambda times: [one] * times)),
    max_size=25,
).map(lambda runs: [one for run in runs for one in run])
CONFIGS = st.builds(
    FloorConfig,
    start_ms=st.sampled_from([80, 160, 400]),
    end_silence_ms=st.sampled_from([80, 100, 560]),
    barge_in_ms=st.sampled_from([240, 400]),
    min_turn_ms=st.sampled_from([80, 240]),
    max_turn_ms=st.sampled_from([400, 2_000, 30_000]),
)


@settings(deadline=None, max_examples=100)
@given(INPUTS, CONFIGS)
def test_any_sequence_keeps_the_floor_legal(inputs: list[Evidence], config: FloorConfig) -> None:
    state, turn_open, reply_open, ends = FloorState(), False, False, -1
    for one in inputs:
        before = state
        state, decisions = transition(state, one, config)
        assert state.tick == before.tick + 1
        for decision in decisions:
            assert decision.reason
            assert 0 <= decision.tick <= before.tick
            match decision.kind:
                case Kind.TURN_STARTED:
                    assert not turn_open
                    assert one.speech >= config.speech_off
                    assert decision.tick > ends  # turns never overlap
                    turn_open = True
                case Kind.TURN_DROPPED:
                    assert turn_open
                    assert not reply_open
                    turn_open, ends = False, decision.tick
                case Kind.TURN_ENDED:
                    assert turn_open
                    assert not reply_open
                    turn_open, reply_open, ends = False, True, decision.tick
                case Kind.BARGED_IN:
                    assert reply_open
                    assert state.floor is Floor.YIELDING
                    assert state.speech_run >= ticks(config.barge_in_ms)
                case Kind.REPLY_ENDED:
                    assert reply_open
                    assert one.voice_over
                    reply_open = False
        assert turn_open == (state.turn_start is not None)
        assert reply_open == (state.floor is not Floor.LISTENING)
        assert turn_open or state.floor is not Floor.YIELDING


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.0, 0.49), max_size=200), CONFIGS)
def test_silence_never_starts_a_turn(levels: list[float], config: FloorConfig) -> None:
    assert run([Evidence(level) for level in levels], config)[1] == []


@settings(deadline=None, max_examples=50)
@given(INPUTS, CONFIGS)
def test_silence_and_a_finished_voice_always_lead_back_to_rest(
    inputs: list[Evidence], config: FloorConfig
) -> None:
    state, _ = run(inputs, config)
    state, _ = run([SILENCE] * 8 + [OVER] * 10 + [SILENCE] * 8 + [OVER], config, state)
    assert state.floor is Floor.LISTENING
    assert state.turn_start is None
