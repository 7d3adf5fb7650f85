"""From two-channel records to results."""

from pathlib import Path

import pytest
from duplex_evals.conversation.record import Record, load_record, save_record
from duplex_evals.metrics.summary import LATER, NOTHING, TOO_FEW, per_record, summarise
from hand_made import placed, two_channels

pytestmark = pytest.mark.assets


def answered_after(delay_ms: float, voice: str = "synthetic") -> Record:
    start = 2_000.0 + delay_ms
    turn = placed("turn", (500.0, 2_000.0))
    return two_channels(
        turn, agent=((start, start + 1_500),), end_ms=8_000, family="smooth_turn", voice=voice
    )


def missed() -> Record:
    return two_channels(placed("turn", (500.0, 2_000.0)), end_ms=8_000, family="smooth_turn")


def test_a_stored_recording_gives_the_results_of_the_conversation(tmp_path: Path) -> None:
    asked = placed("turn", (500.0, 2_000.0))
    cut_in = placed("interruption", (4_000.0, 5_000.0))
    spoken = ((2_600.0, 4_450.0), (5_700.0, 7_500.0))
    save_record(two_channels(asked, cut_in, agent=spoken), tmp_path / "case")
    row = per_record(load_record(tmp_path / "case"))
    assert row["barge_in_stop"] == pytest.approx(450, abs=5)
    assert row["voice_to_voice_answered"] == pytest.approx(600, abs=5)  # the lower of 600 and 700
    assert row["yield_rate_1s"] == 1
    assert row["missed_response_rate"] == 0
    assert row["false_interruption_rate"] is None


def test_percentiles_count_misses_and_are_split_by_family_and_voice() -> None:
    records = [answered_after(300 + 100 * n, "human" if n % 2 else "synthetic") for n in range(8)]
    summary = summarise([*records, missed(), missed()])
    answered = summary.get("voice_to_voice_answered_p50", "smooth_turn")
    assert (answered.value, answered.n) == (pytest.approx(600, abs=5), 8)
    every = summary.get("voice_to_voice_all_p50")
    assert (every.value, every.n) == (pytest.approx(700, abs=5), 10)
    assert every.note == "2 of 10 not seen to happen"
    never = summary.get("voice_to_voice_all_p90")
    assert (never.value, never.high) == (None, None)
    assert never.note.startswith(LATER)
    assert summary.get("missed_response_rate").value == pytest.approx(0.2)
    human = summary.get("voice_to_voice_answered_p50", voice="human")
    assert (human.value, human.n) == (pytest.approx(600, abs=5), 4)
    assert len(summary.samples["voice_to_voice_answered"]) == 8
    low, high = answered.low, answered.high
    assert low is not None
    assert high is not None
    assert 295 <= low <= 600 <= high <= 1_005


def test_a_rate_of_nine_events_is_hidden_and_of_ten_is_not() -> None:
    records = [answered_after(500) for _ in range(10)]
    few = summarise(records[:9]).get("missed_response_rate")
    assert (few.value, few.low, few.n, few.note) == (None, None, 9, TOO_FEW)
    enough = summarise(records).get("missed_response_rate")
    assert (enough.value, enough.n, enough.note) == (0, 10, "")
    assert summarise(records[:9]).get("voice_to_voice_answered_p95").note == TOO_FEW
    assert summarise(records[:9]).get("voice_to_voice_answered_p50").value is not None


def test_every_result_is_there_without_a_record_and_none_is_zero() -> None:
    results = summarise([]).results
    assert len({f.name for f in results}) == len(results) > 40
    assert {f.value for f in results} == {None}
    assert {f.note for f in results} <= {NOTHING, "needs all three rates"}


def test_what_an_agent_does_not_claim_is_not_available() -> None:
    story = placed("turn", (0.0, 3_000.0), (3_500.0, 6_000.0), expect="backchannel")
    records = [two_channels(story, end_ms=8_000, family="agent_backchannel") for _ in range(10)]
    assert summarise(records).get("backchannel_recall").value == 0
    lacks = summarise(records, abilities=frozenset({"memory"})).get("backchannel_recall")
    assert (lacks.value, lacks.n) == (None, 0)
    assert lacks.note == "the agent does not claim: backchannel"


def test_the_same_records_and_seed_give_the_same_summary() -> None:
    records = [answered_after(300 + 70 * n) for n in range(6)]
    assert summarise(records, seed=3) == summarise(records, seed=3)
