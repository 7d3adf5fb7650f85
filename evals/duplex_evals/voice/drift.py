"""Does quality drift in a long reply? The same sentences in its first and its last minute.

A minute has some 230 words, so in one reply chance alone moves a minute's WER by several points;
the result is that of several replies with noise of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS
from duplex_agent.voice.script import Script
from duplex_agent.voice.voice import Voice
from duplex_evals.speech.recogniser import WordErrors, transcribe, word_errors
from duplex_evals.voice.speaking import Audio, for_listeners


@dataclass(frozen=True)
class Drift:
    """WER of the same words at the beginning and at the end of replies of ``seconds`` each.

    ``words`` and the rates are of all replies together, ``pairs`` (first, last) of each one.
    """

    seconds: float
    words: int
    first_wer: float
    last_wer: float
    pairs: list[tuple[float, float]]
    first_heard: list[str]
    last_heard: list[str]


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
    voice: Voice, sentences: list[str], minutes: float, replies: int, advance: Callable[[], None]
) -> Drift:
    """Compare the ends of long replies with seeds 0 .. ``replies`` - 1.

    ``advance`` is called once per second of speech.
    """
    first, middle, last = long_reply(voice, sentences, minutes)
    text = " ".join([*first, *middle, *last])
    heads, tails = [], []
    for seed in range(replies):
        pcm, voiced = _spoken(voice, text, seed, advance)
        heads.append(_heard(pcm, voiced, first, 0))
        tails.append(_heard(pcm, voiced, last, len(text) - len(" ".join(last))))
    one, two = (sum((errors for _, errors in end), WordErrors(0, 0)) for end in (heads, tails))
    return Drift(
        seconds=len(voiced) * TICK_MS / 1000,
        words=one.words,
        first_wer=one.rate,
        last_wer=two.rate,
        pairs=[(a.rate, b.rate) for (_, a), (_, b) in zip(heads, tails, strict=True)],
        first_heard=[heard for heard, _ in heads],
        last_heard=[heard for heard, _ in tails],
    )


def _spoken(
    voice: Voice, text: str, seed: int, advance: Callable[[], None]
) -> tuple[Audio, list[int]]:
    """``text`` as sound, and the characters voiced by the end of each tick."""
    stream = voice.start(seed)
    stream.write(text)
    stream.finish()
    chunks: list[Audio] = []
    voiced: list[int] = []
    done = False
    while not done:
        spoken = stream.tick()
        done = spoken.done
        chunks.append(spoken.pcm)
        voiced.append(spoken.chars_spoken)
        if len(chunks) * TICK_MS % 1000 < TICK_MS:
            advance()
    return np.concatenate(chunks), voiced


def _heard(
    pcm: Audio, voiced: list[int], sentences: list[str], begin: int
) -> tuple[str, WordErrors]:
    """What is heard of ``sentences``, whose text begins at character ``begin``.

    Each is judged alone: in a minute of sound the recogniser may skip half of it.
    """
    heard, errors = [], WordErrors(0, 0)
    for sentence in sentences:
        first, last = sentence_ticks(voiced, begin, begin + len(sentence))
        audio = pcm[first * AGENT_TICK_SAMPLES : last * AGENT_TICK_SAMPLES]
        heard.append(transcribe(for_listeners(audio)))
        errors += word_errors(sentence, heard[-1])
        begin += len(sentence) + 1
    return " ".join(heard), errors


def sentence_ticks(voiced: list[int], begin: int, end: int) -> tuple[int, int]:
    """First tick of the characters ``begin`` .. ``end`` of the text, and the one behind them.

    Characters count as voiced only with their whole word, so a sentence begins where the one
    before it is through, not where its own first character counts.
    """
    first, last = (
        next((i for i, chars in enumerate(voiced) if chars >= place), len(voiced) - 1)
        for place in (begin, end)
    )
    # The tick in which a sentence ends may hold the beginning of the next; the sound is late by
    # some ms, so the last tick is taken whole.
    return first, last + 1
