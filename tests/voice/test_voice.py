import numpy as np
import pytest
import torch
from served import served_codec, served_mouth, served_phones, served_timing

from duplex_agent.errors import TextError
from duplex_agent.voice.config import (
    CodecConfig,
    FlowConfig,
    MouthConfig,
    PhonesConfig,
    TimingConfig,
)
from duplex_agent.voice.reference.codec import CodecDecoder
from duplex_agent.voice.reference.mouth import Mouth
from duplex_agent.voice.reference.phones import Phones
from duplex_agent.voice.reference.timing import Timing
from duplex_agent.voice.voice import SpeechStream, SpokenTick, Voice, VoiceSettings, load_voice

_SHORT = "Yes, I do."
_TAIL = 2
_TEXT = "Sure, it costs $5.50 today. Shall I buy two of them for you?"


@pytest.fixture(scope="module")
def voice() -> Voice:
    torch.manual_seed(0)
    mouth = MouthConfig(
        width=32, layers=1, heads=2, feed_forward=48, thinker_width=16,
        flow=FlowConfig(width=24, blocks=1),
    )  # fmt: skip
    return Voice(
        served_phones(Phones(PhonesConfig(width=32, layers=2))),
        served_timing(Timing(TimingConfig(width=16, layers=2))),
        served_mouth(Mouth(mouth), "fp32"),
        served_codec(CodecDecoder(CodecConfig(width=16, token_blocks=1, frame_blocks=1)), "fp32"),
    )


def _rest(stream: SpeechStream, limit: int = 2000) -> list[SpokenTick]:
    ticks = []
    while not ticks or not ticks[-1].done:
        ticks.append(stream.tick())
        assert len(ticks) < limit
    return ticks


def _whole(voice: Voice, text: str, seed: int = 3) -> list[SpokenTick]:
    stream = voice.start(seed)
    stream.write(text)
    stream.finish()
    return _rest(stream)


def test_same_seed_same_sound_and_another_seed_another_one(voice: Voice) -> None:
    first, again, other = _whole(voice, _TEXT), _whole(voice, _TEXT), _whole(voice, _TEXT, seed=4)
    pcm = [np.concatenate([t.pcm for t in ticks]) for ticks in (first, again, other)]
    assert np.array_equal(pcm[0], pcm[1])
    assert not np.array_equal(pcm[0], pcm[2])


def test_without_temperature_every_seed_gives_the_same_sound(voice: Voice) -> None:
    calm = voice.with_settings(VoiceSettings(temperature=0.0))
    one, two = (np.concatenate([t.pcm for t in _whole(calm, _TEXT, seed)]) for seed in (3, 4))
    assert np.array_equal(one, two)


def test_text_written_letter_by_letter_sounds_the_same(voice: Voice) -> None:
    stream = voice.start(3)
    for character in _TEXT:
        stream.write(character)
    stream.finish()
    whole = _whole(voice, _TEXT)
    for one, two in zip(_rest(stream), whole, strict=True):
        assert np.array_equal(one.pcm, two.pcm)
        assert one.chars_spoken == two.chars_spoken


def test_spoken_characters_grow_to_the_whole_text_at_word_ends(voice: Voice) -> None:
    counts = [t.chars_spoken for t in _whole(voice, _TEXT)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(_TEXT)
    assert all(n in (0, len(_TEXT)) or _TEXT[n - 1].isspace() for n in counts)


def test_late_text_lengthens_a_pause_and_loses_nothing(voice: Voice) -> None:
    stream = voice.start(3)
    stream.write("Sure, it costs ")
    waiting = [stream.tick() for _ in range(40)]
    assert not any(t.done for t in waiting)
    assert waiting[-1].chars_spoken <= len("Sure, it costs ")
    stream.write("a lot of money.")
    stream.finish()
    ticks = waiting + _rest(stream)
    assert ticks[-1].chars_spoken == len("Sure, it costs a lot of money.")


def test_stop_at_any_tick_fades_within_ten_milliseconds(voice: Voice) -> None:
    stream = voice.start(3)
    stream.write(_SHORT)
    stream.finish()
    whole = _rest(stream)
    for tick, unstopped in enumerate(whole):
        stream = voice.start(3)
        stream.write(_SHORT)
        stream.finish()
        for _ in range(tick):
            stream.tick()
        stream.stop()
        last = stream.tick()
        assert last.done
        assert not last.pcm[240:].any()
        assert np.all(np.abs(last.pcm[:240]) <= np.abs(unstopped.pcm[:240]))
        assert np.array_equal(last.pcm[:1], unstopped.pcm[:1])
        assert last.chars_spoken == unstopped.chars_spoken
        assert not stream.tick().pcm.any()


def test_stop_before_the_first_word_is_done_at_once(voice: Voice) -> None:
    stream = voice.start()
    stream.tick()
    stream.stop()
    last = stream.tick()
    assert last.done
    assert not last.pcm.any()


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_speed_scales_how_long_a_reply_lasts(voice: Voice, speed: float) -> None:
    usual = len(_whole(voice, _TEXT))
    scaled = len(_whole(voice.with_settings(VoiceSettings(speed=speed)), _TEXT))
    # All but the ticks of silence at the end scale; a tick may be begun or not.
    assert abs((scaled - _TAIL) * speed - (usual - _TAIL)) <= 1.5


@pytest.mark.parametrize("speed", [0.79, 1.26, float("nan")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(TextError, match="speed"):
        VoiceSettings(speed=speed)


@pytest.mark.parametrize("text", ["", "   ", "...", "🎉🎉", "你好"])
def test_nothing_to_say_is_soon_over(voice: Voice, text: str) -> None:
    assert len(_whole(voice, text)) < 20


def test_words_that_cannot_be_said_are_named_and_the_rest_is_said(voice: Voice) -> None:
    stream = voice.start()
    stream.write("Hello 你好 there.")
    stream.finish()
    assert _rest(stream)[-1].chars_spoken == len("Hello 你好 there.")
    assert stream.left_out == ["你好"]


def test_writing_after_the_end_or_far_too_much_is_refused(voice: Voice) -> None:
    stream = voice.start()
    with pytest.raises(TextError, match="at most"):
        stream.write("word " * 20_000)
    stream.write("Good.")  # the refused text was not written
    stream.finish()
    assert _rest(stream)[-1].chars_spoken == len("Good.")
    with pytest.raises(TextError, match="finished"):
        stream.write("more")


def test_the_loudest_sound_is_not_clipped() -> None:
    ticks = _whole(load_voice(), "What is the tallest mountain in Europe?", seed=0)
    assert 0.5 < max(float(abs(tick.pcm).max()) for tick in ticks) < 1.0


def test_the_mouth_begins_again_with_every_sentence() -> None:
    # It has learnt from single sentences: carried on for minutes, it falls silent.
    stream = load_voice().start()
    stream.write("This is the first sentence. And this is one more.")
    stream.finish()
    positions = []
    while not stream.tick().done:
        positions.append(stream._mouth.position)
    restarts = [i for i in range(1, len(positions)) if positions[i] <= positions[i - 1]]
    assert len(restarts) == 1
    assert 0.3 < restarts[0] / len(positions) < 0.8


def test_states_of_another_thinker_leave_the_voice_to_speak_from_text_alone() -> None:
    voice = load_voice()
    own = voice.mouth.config.thinker_width
    sounds = {}
    for width in (None, own, own + 384):
        stream = voice.start()
        stream.write("Yes.", None if width is None else np.ones((2, width), np.float32))
        stream.finish()
        sounds[width] = np.concatenate([tick.pcm for tick in _rest(stream)])
    assert np.array_equal(sounds[own + 384], sounds[None])
    assert not np.array_equal(sounds[own], sounds[None])
