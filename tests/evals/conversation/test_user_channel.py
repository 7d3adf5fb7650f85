import numpy as np
import pytest
from duplex_evals.audio.activity import AgentActivity
from duplex_evals.audio.filters import filtered, room_response
from duplex_evals.audio.hum import voice_hum
from duplex_evals.conversation.channel_conditions import PACKET, ChannelConditions
from duplex_evals.conversation.clips import SPEECH_DBFS, load_clip
from duplex_evals.conversation.scenario import Anchor, Clip, Conditions, Echo, Item, Part, Scenario
from duplex_evals.conversation.user_channel import UserChannel
from hypothesis import given, settings
from hypothesis import strategies as st

RATE, AGENT_RATE = 16_000, 24_000
SOUND = Part(clip=Clip(file="noise:pink", end_s=0.5))


def item(name: str, anchor: Anchor, *parts: Part, **more: object) -> Item:
    return Item(
        name=name, kind="turn", expect="reply", parts=list(parts) or [SOUND], anchor=anchor, **more
    )


def scenario(*items: Item, tail_s: float = 1.0, **conditions: object) -> Scenario:
    return Scenario(
        id="x",
        family="custom",
        items=list(items),
        tail_s=tail_s,
        conditions=Conditions(**conditions),
    )


def agent_audio(*spans_ms: tuple[int, int], length_s: int = 30) -> np.ndarray:
    audio = np.zeros(length_s * AGENT_RATE, np.float32)
    for start, end in spans_ms:
        a, b = start * AGENT_RATE // 1000, end * AGENT_RATE // 1000
        audio[a:b] = voice_hum(a, b)
    return audio


def play(channel: UserChannel, agent: np.ndarray | None = None) -> np.ndarray:
    ticks = (agent_audio() if agent is None else agent).reshape(-1, 1920)
    out = []
    while not channel.done:
        out.append(channel.step(ticks[len(out)]))
    return np.concatenate(out)


def audible_ms(audio: np.ndarray) -> tuple[float, float]:
    found = np.flatnonzero(np.abs(audio) > 0)
    return found[0] / 16, (found[-1] + 1) / 16


@settings(deadline=None)
@given(delay_ms=st.integers(0, 3_000), gap_ms=st.integers(200, 900))
def test_what_is_placed_is_what_sounds(delay_ms: int, gap_ms: int) -> None:
    pause = SOUND.model_copy(update={"gap_ms": gap_ms})
    channel = UserChannel(scenario(item("a", Anchor(delay_ms=delay_ms), SOUND, pause)))
    audio = play(channel)
    (first, second) = channel.placed[0].spans_ms
    assert first[0] == delay_ms
    assert second[0] - first[1] == gap_ms
    # The faded edge itself is zero: one sample at each end.
    assert audible_ms(audio) == pytest.approx((first[0], second[1]), abs=0.13)
    silent = audio[round(first[1] * 16) : round(second[0] * 16)]
    assert not silent.any()


def test_gaps_shorter_than_a_pause_do_not_part_a_phrase() -> None:
    close = SOUND.model_copy(update={"gap_ms": 150})
    channel = UserChannel(scenario(item("a", Anchor(), SOUND, close)))
    assert len(channel.placed[0].spans_ms) == 1


@given(onset=st.integers(65, 500), delay=st.integers(100, 1_500))
@settings(max_examples=25, deadline=None)
def test_an_item_waits_for_the_agents_onset(onset: int, delay: int) -> None:
    onset_ms = onset * 10
    anchor = Anchor(to="agent_onset", item="a", delay_ms=delay)
    channel = UserChannel(scenario(item("a", Anchor()), item("b", anchor)))
    assert channel.end_ms is None
    play(channel, agent_audio((onset_ms, onset_ms + 2_000)))
    assert channel.placed[1].start_ms == onset_ms + delay


def test_an_item_waits_for_the_agents_end_past_the_pauses_of_its_reply() -> None:
    anchor = Anchor(to="agent_end", item="a", delay_ms=800)
    channel = UserChannel(scenario(item("a", Anchor()), item("b", anchor)))
    play(channel, agent_audio((1_000, 2_000), (2_400, 3_000), (5_000, 6_000)))
    assert channel.placed[1].start_ms == 3_800


def test_an_agent_that_speaks_across_the_turns_end_counts_as_begun() -> None:
    anchor = Anchor(to="agent_onset", item="a", delay_ms=300)
    channel = UserChannel(scenario(item("a", Anchor()), item("b", anchor)))
    play(channel, agent_audio((200, 2_000)))
    assert channel.placed[1].start_ms == pytest.approx(channel.placed[0].end_ms + 300)


def test_an_agent_that_never_speaks_leaves_the_item_and_what_hangs_on_it_out() -> None:
    onset = Anchor(to="agent_onset", item="a", timeout_ms=2_000)
    after = Anchor(to="item_end", item="b")
    channel = UserChannel(scenario(item("a", Anchor()), item("b", onset), item("c", after)))
    audio = play(channel)
    assert [p.start_ms is None for p in channel.placed] == [False, True, True]
    assert len(audio) / RATE == pytest.approx(2.5, abs=0.17)


def test_a_late_reaction_is_placed_where_it_still_can_be() -> None:
    """Onsets are known after 30 ms: an item without delay begins with the next tick."""
    anchor = Anchor(to="agent_onset", item="a")
    channel = UserChannel(scenario(item("a", Anchor()), item("b", anchor)))
    audio = play(channel, agent_audio((990, 2_000)))
    start = channel.placed[1].start_ms
    assert start is not None
    assert 990 <= start <= 990 + 80
    assert np.abs(audio[round(start * 16) : round(start * 16) + 160]).max() > 0


def test_the_conversation_ends_at_max_s() -> None:
    late = Anchor(to="item_end", item="a", delay_ms=5_000)
    endless = scenario(item("a", Anchor(delay_ms=1_600)), item("b", late))
    channel = UserChannel(endless.model_copy(update={"max_s": 2.0}))
    assert len(play(channel)) == 2 * RATE
    assert channel.placed[1].start_ms is None


@pytest.mark.parametrize("name", ["third_party", "background", "telephone"])
def test_a_filter_does_not_move_an_item(name: str) -> None:
    plain = UserChannel(scenario(item("a", Anchor(delay_ms=400))))
    through = UserChannel(scenario(item("a", Anchor(delay_ms=400), filter=name), reverb_s=0.4))
    assert plain.placed[0].spans_ms == through.placed[0].spans_ms
    audio = play(through)
    assert audible_ms(audio)[0] == pytest.approx(400, abs=0.2)


def level_db(audio: np.ndarray, low: int, high: int) -> float:
    spectrum = np.abs(np.fft.rfft(audio, 1 << 16)) ** 2
    hertz = np.fft.rfftfreq(1 << 16, 1 / RATE)
    return float(10 * np.log10(spectrum[(hertz >= low) & (hertz < high)].sum()))


def test_the_filters_follow_their_recipes() -> None:
    clip = load_clip(Clip(file="noise:white", end_s=3.0))
    change = {
        (name, low): level_db(filtered(name, clip), low, high) - level_db(clip, low, high)
        for name in ("third_party", "background", "telephone")
        for low, high in ((100, 200), (500, 2_000), (5_000, 7_800))
    }
    # Two reflections at -6 and -12 dB add 10 lg (1 + 0.25 + 0.063) = 1.2 dB to noise.
    assert change["third_party", 500] == pytest.approx(-8 + 1.2, abs=0.5)
    assert change["third_party", 5_000] == pytest.approx(-8 + 1.2 - 5, abs=1.2)
    assert change["background", 500] == pytest.approx(-15 + 0.4, abs=0.5)
    assert change["background", 5_000] < -30
    assert abs(change["telephone", 500]) < 1
    assert max(change["telephone", 100], change["telephone", 5_000]) < -15


def test_reverberation_falls_by_60_db_in_its_time() -> None:
    response = room_response(0.5, np.random.default_rng(0))
    left = np.cumsum(response[1:][::-1] ** 2)[::-1]
    decay = 10 * np.log10(left / left[0])
    times = np.arange(len(decay)) / RATE
    slope = np.polyfit(times[(decay < -5) & (decay > -35)], decay[(decay < -5) & (decay > -35)], 1)
    assert -60 / slope[0] == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("noise", ["noise:white", "noise:pink"])
def test_noise_lies_at_its_snr(noise: str) -> None:
    audio = play(UserChannel(scenario(tail_s=5, snr_db=12.0, noise=noise)))
    assert 10 * np.log10((audio**2).mean()) == pytest.approx(SPEECH_DBFS - 12, abs=0.4)


@given(delay_ms=st.integers(1, 400), gain_db=st.floats(-30, 0))
@settings(max_examples=20, deadline=None)
def test_the_echo_comes_back_after_its_delay(delay_ms: int, gain_db: float) -> None:
    conditions = ChannelConditions(
        Conditions(echo=Echo(delay_ms=delay_ms, gain_db=gain_db)), seed=[0]
    )
    agent = np.zeros(AGENT_RATE, np.float32)
    at = np.arange(2_400, 4_800)
    agent[at] = np.sin(2 * np.pi * 300 * (at - 2_400) / AGENT_RATE) * np.hanning(len(at))
    agent = agent[: len(agent) // 1920 * 1920]
    ticks = [conditions.apply(np.zeros(1280, np.float32), t) for t in agent.reshape(-1, 1920)]
    heard = np.concatenate(ticks)
    source = np.interp(np.arange(len(heard)) * 1.5, np.arange(len(agent)), agent)
    lag = np.argmax(np.correlate(heard, source, "full")) - (len(source) - 1)
    assert lag == pytest.approx(delay_ms * 16, abs=1)
    assert np.abs(heard).max() == pytest.approx(
        np.abs(agent).max() * 10 ** (gain_db / 20), rel=0.05
    )


def lossy(concealment: str, loss: float) -> tuple[np.ndarray, np.ndarray]:
    speech = np.random.default_rng(1).uniform(0.1, 0.5, 60 * RATE).astype(np.float32)
    channel = ChannelConditions(Conditions(loss=loss, concealment=concealment), seed=[5])
    silence = np.zeros(1920, np.float32)
    out = [channel.apply(tick, silence) for tick in speech.reshape(-1, 1280)]
    return speech.reshape(-1, PACKET), np.concatenate(out).reshape(-1, PACKET)


def test_lost_packets_are_whole_and_as_many_as_asked_for() -> None:
    sent, got = lossy("zero", 0.1)
    lost = ~got.any(axis=1)
    np.testing.assert_array_equal(got[~lost], sent[~lost])
    assert lost.mean() == pytest.approx(0.1, abs=0.02)  # 3,000 packets: 3.6 standard deviations


def test_a_concealed_packet_repeats_the_one_before_at_half_its_level() -> None:
    sent, got = lossy("repeat", 0.1)
    lost = np.flatnonzero((got != sent).any(axis=1))
    assert len(lost) > 100
    np.testing.assert_allclose(got[lost], got[lost - 1] * 0.5)


def test_the_same_seed_gives_the_same_user() -> None:
    noisy = scenario(item("a", Anchor()), snr_db=5.0, loss=0.1, reverb_s=0.3)
    first, again, other = (play(UserChannel(noisy, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@settings(max_examples=40, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(3, 100), st.integers(61, 150)), min_size=1, max_size=4),
    lead=st.integers(0, 100),
)
def test_activity_finds_every_onset_and_end(spans: list[tuple[int, int]], lead: int) -> None:
    at, want = lead * 10, []
    for length, rest in spans:
        want.append((at, at + length * 10))
        at += (length + rest) * 10
    activity = AgentActivity()
    audio = agent_audio(*want, length_s=at // 1000 + 2)
    for tick in audio[: len(audio) // 1920 * 1920].reshape(-1, 1920):
        activity.push(tick)
    assert list(zip(activity.onsets, activity.ends, strict=True)) == want
