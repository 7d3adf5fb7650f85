"""The agent on files: a recording through the tick, a text spoken, a recording understood."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from duplex_agent.audio.files import AudioReader, WavWriter
from duplex_agent.clock import AGENT_RATE_HZ, TICK_MS, USER_RATE_HZ
from duplex_agent.ear.hearing import DEFAULT_LOOK_AHEAD, HeardWord, follow
from duplex_agent.engine.conversation import Conversation
from duplex_agent.engine.parts import load_parts, session_config
from duplex_agent.errors import TextError
from duplex_agent.offline.recording import StereoRecorder, ticks_of
from duplex_agent.offline.turns import TurnLog
from duplex_agent.output_file import OutputFile
from duplex_agent.printable import printable
from duplex_agent.spec import AgentSpec
from duplex_agent.terminal import Console

TAIL_S = 10  # how long the agent may go on after the user's end
PHRASE_GAP_MS = 800  # words further apart than this start a new line
LONG_S = 20  # work on more sound than this gets a progress bar


@dataclass(frozen=True)
class Span:
    """Words understood between two times."""

    start_ms: int
    end_ms: int
    text: str


def talk_file(
    source: Path,
    out: Path | None,
    json_out: Path | None,
    spec: AgentSpec | None = None,
) -> dict[str, Any]:
    """Play a recording into the agent; print the turns and give the report.

    ``out``: stereo WAV, 24 kHz, left the user, right the agent as a live listener would hear it
    (one tick after the sound it reacts to), up to the user's end + 10 s. ``json_out``: the report
    with all events. ``spec`` is the agent, by default the one that ships.
    Raises AudioError for a bad recording or an output that cannot be written.
    """
    with AudioReader(source, USER_RATE_HZ) as reader:
        user_s = reader.scan()
        total_s = user_s + TAIL_S
        log = TurnLog()
        events: list[dict[str, Any]] = []
        with contextlib.ExitStack() as outputs:
            # Both files are opened before the model: a wrong path should not cost a minute.
            report_file = None if json_out is None else outputs.enter_context(OutputFile(json_out))
            stereo = None if out is None else outputs.enter_context(StereoRecorder(out, total_s))
            spec = spec or AgentSpec()
            parts, open_llm = load_parts(spec)
            session = Conversation(parts, session_config(spec), spec.seed, open_llm=open_llm)
            outputs.callback(session.close)
            begun = time.perf_counter()
            with _progress(total_s) as advance:
                for user in ticks_of(reader, total_s):
                    tick = session.tick(user)
                    log.add(tick.events)
                    events += [e.to_json() for e in tick.events if e.type != "tick.compute"]
                    if stereo is not None:
                        stereo.add(user, tick.agent_pcm)
                    advance()
            report = {
                "source": str(source),
                "agent": spec.model_dump(mode="json"),
                "user_s": round(user_s, 3),
                "total_s": round(total_s, 3),
                "rtf": round((time.perf_counter() - begun) / total_s, 3),
                "compute_ms": {
                    "all": percentiles(log.compute_ms),
                    "speaking": percentiles(log.speaking_ms),
                },
                "turns": log.to_json(),
                "events": events,
            }
            if report_file is not None:
                report_file.write(json.dumps(report, indent=1).encode())
    _print_report(report, log)
    return report


def say_text(text: str, out: Path, speed: float = 1.0) -> float:
    """Speak a text into a mono WAV at 24 kHz; gives its seconds.

    Raises TextError when the text is too long, nothing in it can be spoken, or ``speed`` is out of
    range, AudioError when the file cannot be written.
    """
    from duplex_agent.voice.spoken_text import speakable
    from duplex_agent.voice.voice import LONGEST_TEXT, VoiceSettings, load_voice

    if not text.strip():
        raise TextError("there is nothing to say: the text is empty")
    if len(text) > LONGEST_TEXT:
        raise TextError(f"the text has {len(text)} characters, more than {LONGEST_TEXT}; split it")
    if not speakable(text):
        raise TextError(f"nothing in {text[:40]!r} can be spoken")
    stream = load_voice(VoiceSettings(speed=speed)).start()
    stream.write(text)
    stream.finish()
    begun = time.perf_counter()
    ticks = 0
    # About 15 characters are spoken in a second.
    with WavWriter(out, AGENT_RATE_HZ, 1) as writer, _progress(len(text) / 15) as advance:
        done = False
        while not done:
            spoken = stream.tick()
            done = spoken.done
            writer.write(spoken.pcm)
            ticks += 1
            advance()
    seconds = ticks * TICK_MS / 1000
    rtf = (time.perf_counter() - begun) / seconds
    console = Console()
    console.print(f"{printable(str(out))}: {seconds:.1f} s of speech, {rtf:.2f} of real time")
    if stream.left_out:
        words = " ".join(stream.left_out)
        console.print(f"left out, for it cannot be spoken: {words}")
    return seconds


def listen_file(source: Path, look_ahead_ticks: int = DEFAULT_LOOK_AHEAD) -> list[Span]:
    """Print what the ear understands of a recording, with times. Raises AudioError."""
    console = Console()
    spans: list[Span] = []
    words: list[HeardWord] = []
    with AudioReader(source, USER_RATE_HZ) as reader:
        length_s = reader.scan()
        # Heavy, so after the file is known to be sound.
        from duplex_agent.ear.load import load_ear

        ear = load_ear(look_ahead_ticks=look_ahead_ticks)
        state = ear.new_state()
        with _progress(length_s) as advance:
            # A second of silence brings out what is still inside.
            for pcm in ticks_of(reader, length_s + 1):
                follow(words, ear.step(state, pcm))
                advance()
    for word in words:
        _add_word(spans, word)
    for span in spans:
        start_s, end_s = span.start_ms / 1000, span.end_ms / 1000
        console.print(f"{start_s:8.2f} - {end_s:.2f} s  {span.text.strip()}")
    if not spans:
        console.print("nothing understood")
    return spans


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the highest, rounded; empty without values."""
    if not values:
        return {}
    return {
        "p50": round(float(np.percentile(values, 50)), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
        "max": round(max(values), 1),
    }


def _add_word(spans: list[Span], word: HeardWord) -> None:
    start_ms, end_ms = word.first_tick * TICK_MS, (word.last_tick + 1) * TICK_MS
    if spans and start_ms - spans[-1].end_ms <= PHRASE_GAP_MS:
        last = spans.pop()
        spans.append(Span(last.start_ms, end_ms, last.text + word.text))
    else:
        spans.append(Span(start_ms, end_ms, word.text))


@contextlib.contextmanager
def _progress(seconds: float) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr for long work; call the result once per tick."""
    columns = (
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=seconds < LONG_S)
    with bar:
        task = bar.add_task("", total=seconds)
        yield lambda: bar.advance(task, TICK_MS / 1000)


def _print_report(report: dict[str, Any], log: TurnLog) -> None:
    console = Console()
    if log.rows:
        console.print(log.table())
    else:
        console.print("no turn: nobody spoke, as far as the agent could hear")
    for event in report["events"]:
        if event["type"] == "error":
            at_s = event["at_ms"] / 1000
            console.print(f"{at_s:.2f} s: {event['message']}")
    compute = report["compute_ms"]
    while_speaking = compute["speaking"] or compute["all"]
    console.print(
        f"{report['total_s']:.1f} s at {report['rtf']:.2f} of real time;"
        f" compute per tick p50 {compute['all']['p50']} ms, p95 {compute['all']['p95']} ms,"
        f" while speaking p50 {while_speaking['p50']} ms, p95 {while_speaking['p95']} ms"
    )
