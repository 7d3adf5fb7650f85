"""A recording played into the agent, as fast as it computes, and what it answers."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from duplex_agent.audio.files import AudioReader
from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.engine.conversation import Conversation
from duplex_agent.engine.parts import load_parts, session_config
from duplex_agent.offline.progress import progress
from duplex_agent.offline.recording import StereoRecorder, ticks_of
from duplex_agent.offline.turns import TurnLog
from duplex_agent.output_file import OutputFile
from duplex_agent.spec import AgentSpec
from duplex_agent.terminal import Console

TAIL_S: Final = 10  # how long the agent may go on after the user's end


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
            with progress(total_s) as advance:
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


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the highest, rounded; empty without values."""
    if not values:
        return {}
    return {
        "p50": round(float(np.percentile(values, 50)), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
        "max": round(max(values), 1),
    }


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
