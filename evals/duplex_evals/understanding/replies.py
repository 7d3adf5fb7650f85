"""One row for each reply: to a written turn, or to the same turn in a held-out voice."""

import re

from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Clip, Conditions
from duplex_evals.speech.recogniser import transcribe
from duplex_evals.understanding.listening import arriving, hear
from duplex_evals.understanding.result_rows import ResultRows, Row
from duplex_evals.understanding.subject import Subject


def written_reply(subject: Subject, rows: ResultRows, text: str) -> Row:
    """``heard`` is the text itself, ``reply`` the answer to it."""
    return rows.made(
        f"{subject.llm_mark}/written/{text}",
        lambda: {"heard": text, "reply": subject.asker.reply_to_text(text)},
    )


def spoken_reply(
    subject: Subject, rows: ResultRows, text: str, voice: str, conditions: Conditions, seed: int
) -> Row:
    """``heard`` is what the ear understood, ``reply`` the answer to its tokens.

    Raises ClipError where the voice cannot be had.
    """

    def listen() -> Row:
        speech = load_clip(Clip(text=text, voice=voice))
        heard = hear(subject.ear, speech, conditions, seed)
        return {"heard": heard.text, "reply": subject.asker.reply(heard.words)}

    name = conditions.model_dump_json(exclude_defaults=True)
    key = f"{subject.llm_mark}/{subject.ear_mark}/{name} {seed}/{voice}/{text}"
    return rows.made(key, listen)


def transcribed_reply(
    subject: Subject, rows: ResultRows, text: str, voice: str, conditions: Conditions, seed: int
) -> Row:
    """``heard`` is what Whisper writes down of the whole recording, ``reply`` the answer to that in
    writing. Raises ClipError where the voice cannot be had.
    """

    def listen() -> Row:
        speech = load_clip(Clip(text=text, voice=voice))
        heard = transcribe(arriving(speech, conditions, seed).reshape(-1))
        return {"heard": heard, "reply": subject.asker.reply_to_text(heard) if heard else ""}

    name = conditions.model_dump_json(exclude_defaults=True)
    return rows.made(f"{subject.llm_mark}/whisper/{name} {seed}/{voice}/{text}", listen)


def bare_words(text: str) -> str:
    """``text`` as an ear would spell it: lower case, a-z and apostrophes."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
