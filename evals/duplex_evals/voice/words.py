"""Skipped and repeated words: what Whisper hears, and what the script itself promises.

A small recogniser misses words that were said, so both are told. ``heard_faults`` counts words
missing from or doubled in what is heard; ``script_faults`` proves from the script that every phone
of every word was given its time once and in order.
"""

import itertools
from dataclasses import dataclass

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from duplex_agent.voice.config import SLOTS_PER_TICK
from duplex_agent.voice.phone_grid import SLOT_S
from duplex_agent.voice.phones import PHONE_ID, PHONES
from duplex_agent.voice.script import Script
from duplex_agent.voice.spoken_text import speakable
from duplex_agent.voice.voice import Voice
from duplex_evals.speech.recogniser import word_errors

_normalise = EnglishTextNormalizer()
_TOLERANCE_S = 1e-3
_SILENT = {PHONE_ID[p] for p in (" ", "^", "$", ".", ",", "?", "!", ";", ":", "ˈ", "ˌ")}


@dataclass(frozen=True)
class WordFaults:
    """Words of the text that were not heard, and words heard again right after themselves."""

    skipped: list[str]
    repeated: list[str]


def reference(text: str, heard: str) -> str:
    """Written ``text`` as it stands or as it is spoken, whichever ``heard`` is closer to.

    A recogniser writes "FBI" or "f b i", "2024" or "twenty twenty four" as it likes. Text of which
    nothing is spoken gives "".
    """
    spoken = speakable(text)
    forms = (text, spoken) if spoken else ("",)
    return min(forms, key=lambda form: word_errors(form, heard).rate)


def heard_faults(text: str, heard: str) -> WordFaults:
    """Faults of ``heard`` against ``text`` (see ``reference``), both in Whisper's normal form.

    A word is skipped when it is missing between words that were heard right: beside a wrong word
    the recogniser only drew the borders differently ("sea shells"). It is repeated when what was
    heard too much equals what stands before or after it.
    """
    want, got = _normalise(text), _normalise(heard)
    if not want or not got:
        return WordFaults(want.split(), [])
    compared = jiwer.process_words(want, got)
    wanted, hypothesis = compared.references[0], compared.hypotheses[0]
    skipped: list[str] = []
    repeated: list[str] = []
    chunks = compared.alignments[0]
    for index, chunk in enumerate(chunks):
        beside = {c.type for c in (*chunks[max(0, index - 1) : index], *chunks[index + 1 :][:1])}
        if chunk.type == "delete" and beside <= {"equal"}:
            skipped += wanted[chunk.ref_start_idx : chunk.ref_end_idx]
        elif chunk.type == "insert":
            start, end = chunk.hyp_start_idx, chunk.hyp_end_idx
            extra, length = hypothesis[start:end], end - start
            if extra in (hypothesis[max(0, start - length) : start], hypothesis[end:][:length]):
                repeated += extra
    return WordFaults(skipped, repeated)


def script_faults(voice: Voice, text: str) -> list[str]:
    """What is wrong with the script of ``text``; empty when every word is said exactly once.

    Checked: the spoken words are those of the text; every one has a sounding phone; words and
    times only go forward; and the slots given to the mouth, tick by tick, hold every phone for as
    long as it lasts.
    """
    script = Script(voice.phones, voice.timing, voice.settings.speed)
    script.write(text, None)
    script.finish()
    told = np.zeros(len(PHONES))
    while script.ready(1.0) and not script.over:
        told += script.occupancy(SLOTS_PER_TICK).sum(axis=0) * SLOT_S
        script.advance()
    phones = script.timeline()
    faults = []
    if " ".join(script.words) != speakable(text):
        faults.append("the script's words are not those of the text")
    sounding = {w for p in phones if p.phone not in _SILENT for w in (p.word, p.letters)}
    faults += [f"no phone: {w}" for i, w in enumerate(script.words) if i not in sounding]
    if any(b.word < a.word or b.start_s != a.end_s for a, b in itertools.pairwise(phones)):
        faults.append("words or times go backwards")
    if any(p.end_s <= p.start_s for p in phones):
        faults.append("a phone without time")
    due = np.zeros(len(PHONES))
    for phone in phones:
        due[phone.phone] += phone.end_s - phone.start_s
    due[PHONE_ID["$"]] += max(script.position_s - script.known_s, 0.0)
    wrong = np.flatnonzero(abs(told - due) > _TOLERANCE_S)
    return faults + [f"time of phone {PHONES[i]!r}" for i in wrong]
