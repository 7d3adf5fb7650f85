import numpy as np
import pytest
from duplex_evals.audio.onset import speech_onset_ms
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Anchor, Clip, Item, Kind, Part, Scenario
from duplex_evals.runners.offline import run_offline
from duplex_evals.runners.scripted_agent import Script, ScriptedAgent
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_agent.duplex.events import Tick

SOUND = Part(clip=Clip(file="noise:pink", end_s=0.5))


def turn_then(kind: Kind = "interruption", delay_ms: int = 1_000) -> Scenario:
    first = Item(name="a", kind="turn", expect="reply", parts=[SOUND], anchor=Anchor(delay_ms=300))
    anchor = Anchor(to="agent_onset", item="a", delay_ms=delay_ms)
    second = Item(name="b", kind=kind, expect="anything", parts=[SOUND], anchor=anchor)
    return Scenario(id="x", family="custom", items=[first, second], tail_s=5.0)


def sounding_ms(record: Record) -> list[tuple[float, float]]:
    """Where the agent's channel is not zero, in ms; rests shorter than 5 ms are bridged."""
    found = np.flatnonzero(record.agent)
    cuts = np.flatnonzero(np.diff(found) > 120)
    starts = np.concatenate([found[:1], found[cuts + 1]])
    ends = np.concatenate([found[cuts], found[-1:]])
    return [(a / 24, (b + 1) / 24) for a, b in zip(starts, ends, strict=True)]


@given(
    reply_after=st.floats(80, 2_000),
    stop_after=st.floats(80, 560),
    delay_ms=st.integers(200, 1_500),
)
@settings(max_examples=40, deadline=None)
def test_the_scripts_delays_lie_in_the_recording_to_the_sample(
    reply_after: float, stop_after: float, delay_ms: int
) -> None:
    script = Script(reply_after_ms=reply_after, stop_after_ms=stop_after)
    record = run_offline(ScriptedAgent(script), turn_then(delay_ms=delay_ms), 0)
    first, second = record.placed
    (start, end), (again, _) = sounding_ms(record)
    assert start == pytest.approx(first.end_ms + reply_after, abs=0.05)
    assert second.start_ms == pytest.approx(start + delay_ms, abs=10)  # the user hears in 10 ms
    assert end == pytest.approx(second.start_ms + stop_after, abs=0.05)
    assert again == pytest.approx(second.end_ms + reply_after, abs=0.05)


@pytest.mark.parametrize(("stops", "stopped"), [(set(), False), ({"backchannel"}, True)])
def test_a_backchannel_stops_only_who_is_told_to_stop(stops: set[str], stopped: bool) -> None:
    script = Script(stops_for=frozenset(stops), reply_ms=3_000, stop_after_ms=250)
    record = run_offline(ScriptedAgent(script), turn_then("backchannel"), 0)
    ((start, end),) = sounding_ms(record)
    assert end - start == pytest.approx(1_250 if stopped else 3_000, abs=10.1)


def test_an_impatient_script_takes_the_pause_and_a_patient_one_does_not() -> None:
    parts = [SOUND, SOUND.model_copy(update={"gap_ms": 900})]
    held = Item(name="a", kind="turn", expect="reply", parts=parts)
    scenario = Scenario(id="x", family="custom", items=[held], tail_s=4.0)
    for patience, span in ((None, 1), (700.0, 0)):
        script = Script(reply_after_ms=750, reply_ms=400, patience_ms=patience)
        record = run_offline(ScriptedAgent(script), scenario, 0)
        start = sounding_ms(record)[0][0]
        assert start == pytest.approx(record.placed[0].spans_ms[span][1] + 750, abs=0.05)


def test_missed_turns_stay_without_an_answer() -> None:
    record = run_offline(ScriptedAgent(Script(missed=1.0)), turn_then(), 0)
    assert not record.agent.any()
    assert record.placed[1].start_ms is None


def test_backchannels_come_at_their_interval_and_are_short() -> None:
    parts = [Part(clip=Clip(file="noise:pink", end_s=4.0))]
    story = Item(name="a", kind="turn", expect="backchannel", parts=parts)
    scenario = Scenario(id="x", family="custom", items=[story], tail_s=2.0)
    script = Script(backchannel_ms=1_500, missed=1.0)
    record = run_offline(ScriptedAgent(script), scenario, 0)
    spans = [pytest.approx((at, at + 300), abs=0.05) for at in (1_500, 3_000)]
    assert sounding_ms(record) == spans


def test_the_same_run_gives_the_same_record() -> None:
    script = Script(missed=0.5)
    one, two = (run_offline(ScriptedAgent(script), turn_then(), 4) for _ in range(2))
    np.testing.assert_array_equal(one.agent, two.agent)
    np.testing.assert_array_equal(one.user, two.user)
    assert (one.placed, one.events) == (two.placed, two.events)


class Clapper:
    """Claps in its very first tick."""

    name = "clapper"
    abilities: frozenset[str] = frozenset()

    def reset(self, seed: int, instructions: str = "") -> None:
        self.clapped = False

    def tick(self, user_pcm: np.ndarray) -> Tick:
        pcm = np.zeros(1920, np.float32)
        pcm[0] = 0.0 if self.clapped else 0.5
        self.clapped = True
        return Tick(pcm, ())


def test_what_a_tick_answers_is_heard_a_tick_later() -> None:
    silence = Scenario(id="x", family="silence", tail_s=1.0)
    record = run_offline(Clapper(), silence, 0)
    assert np.flatnonzero(record.agent).tolist() == [1920]
    assert len(record.agent) / 24_000 == len(record.user) / 16_000 == record.duration_s


@pytest.mark.assets
def test_a_voice_detector_takes_the_script_for_speech() -> None:
    record = run_offline(ScriptedAgent(Script(reply_after_ms=640)), turn_then(), 0)
    onset = speech_onset_ms(record.agent)
    assert onset == pytest.approx(record.placed[0].end_ms + 640, abs=11)


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_local_agent_runs_as_its_session_does() -> None:
    from duplex_evals.runners.local_agent import LocalAgent

    from duplex_agent.engine import parts
    from duplex_agent.engine.conversation import Conversation

    question = Part(clip=Clip(voice="rms", text="What is a good name for a wooden boat?"))
    asked = Item(name="a", kind="turn", expect="reply", parts=[question])
    scenario = Scenario(id="x", family="smooth_turn", items=[asked], tail_s=3.0)
    model = parts.load()
    record = run_offline(LocalAgent(model), scenario, seed=2)
    session = Conversation(model, seed=2)
    audio = [session.tick(pcm).agent_pcm for pcm in record.user.reshape(-1, 1280)]
    np.testing.assert_array_equal(record.agent[1920:], np.concatenate(audio)[:-1920])
    assert np.abs(record.agent).max() > 0.01
    assert record.heard_text
    assert len(record.compute_ms) == len(audio)
