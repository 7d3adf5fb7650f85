"""An agent with known delays through the offline runner: every result gives them back."""

import pytest
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.metrics.summary import per_record
from duplex_evals.runners.offline import run_offline
from duplex_evals.runners.scripted_agent import Script, ScriptedAgent
from hypothesis import given, settings
from hypothesis import strategies as st

EDGE_MS = 5.0
NOISE = {"file": "noise:white", "gain_db": -10}


def audio(ms: int, gap_ms: int = 0) -> dict[str, object]:
    return {"clip": NOISE | {"end_s": ms / 1000}, "gap_ms": gap_ms}


def over_the_agent(name: str, kind: str, expect: str, ms: int) -> dict[str, object]:
    anchor = {"to": "agent_onset", "item": "asked", "delay_ms": 900}
    return {"name": name, "kind": kind, "expect": expect, "parts": [audio(ms)], "anchor": anchor}


ASKED = {"name": "asked", "kind": "turn", "expect": "reply", "parts": [audio(900)]}
HELD = ASKED | {"parts": [audio(700), audio(800, gap_ms=1_500)]}


def held_with(script: Script, *items: dict[str, object]) -> dict[str, float | str | None]:
    case = {"id": "scripted", "family": "custom", "items": items, "tail_s": 5}
    scenario = Scenario.model_validate(case)
    return per_record(run_offline(ScriptedAgent(script), scenario, seed=0))


@pytest.mark.assets
@given(st.integers(80, 2_500), st.integers(200, 1_900), st.integers(600, 2_000))
@settings(max_examples=8, deadline=None)
def test_the_delays_of_a_reply_and_of_a_stop_come_back(reply: int, stop: int, length: int) -> None:
    script = Script(reply_after_ms=reply, stop_after_ms=stop, reply_ms=4_000)
    row = held_with(script, ASKED, over_the_agent("cut_in", "interruption", "stop", length))
    assert row["voice_to_voice_answered"] == pytest.approx(reply, abs=EDGE_MS)
    assert row["barge_in_stop"] == pytest.approx(stop, abs=EDGE_MS)
    assert row["yield_rate_2s"] == 1
    if abs(stop - 1_000) > EDGE_MS:
        assert row["yield_rate_1s"] == float(stop < 1_000)
    assert row["missed_response_rate"] == row["premature_rate"] == 0


@pytest.mark.assets
@pytest.mark.parametrize(("stops", "rate"), [(frozenset(), 0), (frozenset({"backchannel"}), 1)])
def test_an_agent_that_stops_for_a_backchannel_is_told_from_one_that_goes_on(
    stops: frozenset[str], rate: float
) -> None:
    script = Script(stops_for=stops, reply_ms=4_000)
    row = held_with(script, ASKED, over_the_agent("mm", "backchannel", "continue", 400))
    assert row["false_interruption_rate"] == rate
    assert row["selectivity_backchannel"] == row["tau_voice_s_bc"] == 1 - rate
    assert row["barge_in_stop"] is None


@pytest.mark.assets
@pytest.mark.parametrize(("patience_ms", "taken"), [(None, 0), (700, 1)])
def test_an_impatient_agent_takes_the_pause(patience_ms: float | None, taken: float) -> None:
    row = held_with(Script(reply_after_ms=700, patience_ms=patience_ms), HELD)
    assert row["pause_takeover_rate"] == row["premature_rate"] == taken
    assert row["talk_over"] == pytest.approx(taken * 800, abs=EDGE_MS)


@pytest.mark.assets
def test_an_agent_that_answers_others_is_caught() -> None:
    others = {
        "name": "others",
        "kind": "third_party",
        "expect": "ignore",
        "parts": [audio(1_500)],
        "anchor": {"delay_ms": 1_000},
    }
    answers = held_with(Script(answers=frozenset({"third_party"}), reply_after_ms=600), others)
    ignores = held_with(Script(), others)
    assert (answers["spurious_response_rate"], ignores["spurious_response_rate"]) == (1, 0)
    assert (answers["tau_voice_s_nd"], ignores["tau_voice_s_nd"]) == (0, 1)


@pytest.mark.assets
def test_an_agent_that_misses_every_turn_misses_every_turn() -> None:
    row = held_with(Script(missed=1.0), ASKED)
    assert row["missed_response_rate"] == 1
    assert row["voice_to_voice_answered"] is row["voice_to_voice_all"] is None
