"""What holds of the floor after any sequence of inputs."""

from floor_ticks import OVER, heard, run
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.duplex.floor import (
    Evidence,
    Floor,
    FloorConfig,
    FloorState,
    Kind,
    ticks,
    transition,
)

INPUTS = st.lists(
    st.builds(
        Evidence,
        speech=st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]),
        voice_over=st.sampled_from([None, None, None, "over"]),
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
                    assert decision.reason == one.voice_over == "over"
                    reply_open = False
        assert turn_open == (state.turn_start is not None)
        assert reply_open == (state.floor is not Floor.LISTENING)
        assert turn_open or state.floor is not Floor.YIELDING


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.0, 0.49), max_size=200), CONFIGS)
def test_silence_never_starts_a_turn(levels: list[float], config: FloorConfig) -> None:
    assert run([Evidence(level) for level in levels], config=config)[1] == []


@settings(deadline=None, max_examples=50)
@given(INPUTS, CONFIGS)
def test_silence_and_a_finished_voice_always_lead_back_to_rest(
    inputs: list[Evidence], config: FloorConfig
) -> None:
    state, _ = run(inputs, config=config)
    silence = heard("........")
    state, _ = run([*silence, *[OVER] * 10, *silence, OVER], state, config)
    assert state.floor is Floor.LISTENING
    assert state.turn_start is None
