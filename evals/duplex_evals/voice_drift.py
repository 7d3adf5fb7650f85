"""Does a long reply wear out? The same sentences in its first and its last minute."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.model.script import Script
from duplex_agent.model.voice import Voice
from duplex_evals.recogniser import WordErrors, transcribe, word_errors
from duplex_evals.voice_speaking import Sound, for_listeners


@dataclass(frozen=True)
class Drift:
    """WER of the same words at the beginning and at the end of a reply of ``seconds``."""

    seconds: float
    first_wer: float
    last_wer: float
    words: int
    first_heard: str
    last_heard: str


def long_reply(
    voice: Voice, sentences: list[str], minutes: float
) -> tuple[list[str], list[str], list[str]]:
    """A reply of about ``minutes``: a minute of sentences, other ones, the first ones again."""
    lengths = [_seconds(voice, s) for s in sentences]
    part_s = min(60.0, minutes * 60 / 3)
    count = _until(lengths, part_s)
    left_s = minutes * 60 - 2 * sum(lengths[:count])
    rest = _until(lengths[count:], left_s)
    return sentences[:count], sentences[count : count + rest], sentences[:count]


def _until(lengths: list[float], seconds: float) -> int:
    total = 0.0
    for count, length in enumerate(lengths):
        total += length
        if total >= seconds:
            return count + 1
    return len(lengths)


def _seconds(voice: Voice, text: str) -> float:
    script = Script(voice.phones, voice.timing, voice.settings.speed)
    script.write(text, None)
    script.finish()
    script.ready(float("inf"))
    return script.known_s


def drift(
    voice: Voice, sentences: list[str], minutes: float, seed: int, advance: Callable[[], None]
) -> Drift:
    """Speak one long reply and compare its ends; ``advance`` is called once per second of it."""
    first, middle, last = long_reply(voice, sentences, minutes)
    text = " ".join([*first, *middle, *last])
    stream = voice.start(seed)
    stream.write(text)
    stream.finish()
    pieces: list[Sound] = []
    voiced: list[int] = []
    done = False
    while not done:
        spoken = stream.tick()
        done = spoken.done
        pieces.append(spoken.pcm)
        voiced.append(spoken.chars_spoken)
        if len(pieces) * TICK_MS % 1000 < TICK_MS:
            advance()
    pcm = np.concatenate(pieces)
    head, one = _heard(pcm, voiced, first, 0)
    tail, two = _heard(pcm, voiced, last, len(text) - len(" ".join(last)))
    return Drift(len(pieces) * TICK_MS / 1000, one.rate, two.rate, one.words, head, tail)


def _heard(
    pcm: Sound, voiced: list[int], sentences: list[str], begin: int
) -> tuple[str, WordErrors]:
    """What is heard of ``sentences``, whose text begins at character ``begin``; ``voiced``: the
    characters voiced by the end of each tick. Each is judged alone: in a minute of sound the
    recogniser may skip half of it.
    """
    heard, errors = [], WordErrors(0, 0)
    for sentence in sentences:
        first, last = (
            next((i for i, chars in enumerate(voiced) if chars >= place), len(voiced))
            for place in (begin + 1, begin + len(sentence))
        )
        # A tick of margin on both sides: a sentence's first letter sounds in the tick before.
        sound = pcm[max(0, first - 1) * AGENT_TICK_SAMPLES : (last + 2) * AGENT_TICK_SAMPLES]
        heard.append(transcribe(for_listeners(sound)))
        errors += word_errors(sentence, heard[-1])
        begin += len(sentence) + 1
    return " ".join(heard), errors
