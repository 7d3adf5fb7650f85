"""The rows of the WavChat table from a suite's records: listened to, asked in writing, judged."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from duplex_evals.content import instructions, safety, slots, spoken_qa
from duplex_evals.content import results as content
from duplex_evals.content.estimates import mean, missing
from duplex_evals.content.findings import Finding, find_once, is_case, is_clean, kind_of, score
from duplex_evals.content.judge import NO_JUDGE, Judge
from duplex_evals.conversation.record import Record
from duplex_evals.conversation.robustness import CLEAN, case_of
from duplex_evals.metrics.result import Result, Summary
from duplex_evals.metrics.summary import summarise
from duplex_evals.wavchat.table import ROWS, Row

VERSION: Final = 1  # of the written replies that are kept
RATED: Final = 40  # questions whose reply is rated by DNSMOS: the slowest step of all
FROM_DUPLEX: Final[dict[str, tuple[str, ...]]] = {
    "real-time dialogue": (
        "voice_to_voice_answered_p50",
        "voice_to_voice_answered_p90",
        "voice_to_voice_all_p50",
        "real_time_factor",
        "deadline_miss_rate",
    ),
    "interaction events": (
        "yield_rate_1s",
        "yield_rate_2s",
        "barge_in_stop_p50",
        "selectivity_backchannel",
        "selectivity_non_directed",
        "pause_takeover_rate",
        "premature_rate",
        "false_start_rate",
        "missed_response_rate",
        "backchannel_per_minute",
        "floor_transfer_offset_p50",
    ),
}
TextReplies = Callable[[Sequence[str], str], list[str]]
"""(turns of the user, system prompt) -> the replies in writing."""


def table_results(
    records: Sequence[tuple[Record, Path]],
    abilities: Collection[str],
    out: Path,
    text_replies: TextReplies | None = None,
    judge: Judge | None = None,
    failed: int = 0,
) -> list[Result]:
    """The results of records with their folders, in the order of the table.

    ``failed`` counts conversations that could not be held. ``family`` and ``subtype`` of a result
    are the ability and the task of its row.
    """
    parts = [(r, f) for r, f in records if is_case(case_of(r.scenario.id)[0])]
    found = look_at(parts)
    clean = [f for f in found if is_clean(f)]
    written = asked_in_writing(clean, text_replies, out / "written.json") if text_replies else {}
    known = {record.scenario.id for record, _ in parts}
    talk = summarise([r for r, _ in records if r.scenario.id not in known], abilities)
    quiet = [r for r, _ in parts if case_of(r.scenario.id)[1] == CLEAN]
    latency = summarise(quiet, abilities)
    made: dict[str, list[Result]] = {
        "reasoning": [
            *content.success(
                "reasoning",
                "Questions of order, size and sums",
                content.of_part(clean, "questions", "reasoning"),
                written,
            )
        ],
        "instruction following": [
            *content.success(
                "instructions",
                "Requests about the form of the reply, by rules",
                content.of_part(clean, "instructions"),
                written,
            )
        ],
        "conversational QA": [
            *content.success(
                "questions", "Everyday questions", content.of_part(clean, "questions"), written
            ),
            content.understanding("user_word_error_rate", "", clean),
            _judged(clean, judge),
        ],
        "MOS and WER": [*content.speech(clean)],
        "real-time dialogue": [
            *_picked(latency, "real-time dialogue"),
            _speed_factor(quiet),
        ],
        "context-aware QA": [
            result
            for kind, what in (
                ("memory", "Facts of an earlier turn"),
                ("correction", "Facts that were corrected"),
            )
            for result in content.success(
                kind, what, content.of_part(clean, "slots", kind), written
            )
        ],
        "interaction events": [*_picked(talk, "interaction events"), *content.discourse(clean)],
        "attack events": [*content.safety(clean)],
        "own words": [*content.alignment(clean)],
        "reply language": [*content.language(clean)],
        "degraded user sound": [*content.robustness(found)],
        "audio integrity": [*content.stability(clean), _failures(failed, len(records))],
    }
    return list(chain.from_iterable(_row(row, made.get(row.task, []), abilities) for row in ROWS))


def look_at(parts: Sequence[tuple[Record, Path]]) -> list[Finding]:
    """What is in each record of the content parts; only clean ones are listened to."""
    found = []
    rated = 0
    for record, folder in parts:
        case, condition = case_of(record.scenario.id)
        rate = condition == CLEAN and kind_of(case)[0] == "questions" and rated < RATED
        rated += rate
        found.append(find_once(record, folder, listen=condition == CLEAN, rate=rate))
    return found


def asked_in_writing(
    found: Sequence[Finding], text_replies: TextReplies, store: Path
) -> dict[str, bool]:
    """Whether each case is right in writing. Replies are kept in ``store`` between runs."""
    replies: dict[str, str] = {}
    if store.is_file():
        stored = json.loads(store.read_text("utf-8"))
        replies = stored["replies"] if stored.get("version") == VERSION else {}
    for finding in found:
        if finding.case not in replies:
            turns, prompt = _in_writing(finding.case)
            replies[finding.case] = text_replies(turns, prompt)[-1]
    store.write_text(json.dumps({"version": VERSION, "replies": replies}, indent=1), "utf-8")
    return {f.case: score(f.case, replies[f.case]) for f in found}


def _in_writing(case: str) -> tuple[Sequence[str], str]:
    part, _ = kind_of(case)
    if part == "slots":
        return slots.slot_cases()[case].turns, ""
    if part == "instructions":
        asked = instructions.instructions()[case]
        return [asked.ask], asked.system
    table: Mapping[str, spoken_qa.Question | safety.Request] = (
        spoken_qa.questions() if part == "questions" else safety.requests()
    )
    return [table[case].ask], ""


def _picked(summary: Summary, task: str) -> Iterator[Result]:
    for name in FROM_DUPLEX[task]:
        yield summary.get(name)


def _speed_factor(records: Sequence[Record]) -> Result:
    timed = [r for r in records if r.compute_ms]
    return mean(
        "speed_factor",
        "Audio time by compute time, which the survey calls real-time factor: above 1 is faster.",
        [r.duration_s for r in timed],
        per=[sum(r.compute_ms) / 1000 for r in timed],
        note="" if timed else "the target does not tell its compute time",
    )


def _judged(clean: Sequence[Finding], judge: Judge | None) -> Result:
    definition = "Relevance 0 to 5 by the published rubric (judge_rubric.md), questions and memory."
    if judge is None:
        return missing("judged_relevance", definition, NO_JUDGE)
    asked = [f for f in clean if f.part in ("questions", "slots")]
    scores = [
        float(judge.relevance(f.user, (f.heard if f.text is None else f.text) or "")) for f in asked
    ]
    return mean("judged_relevance", definition, scores, note=f"judge: {judge.model}")


def _failures(failed: int, held: int) -> Result:
    return mean(
        "failed_conversations",
        "Conversations that could not be held to their end.",
        [1.0] * failed + [0.0] * held,
        "share",
    )


def _row(row: Row, made: Sequence[Result], abilities: Collection[str]) -> list[Result]:
    """The row's results, in their place; a row without any says why."""
    if row.claim and row.claim not in abilities:
        note = f"the agent does not claim: {row.claim}"
        made = [replace(f, value=None, low=None, high=None, n=0, note=note) for f in made]
    else:
        note = "claimed, but this suite has no test of it"
    if not made:
        name = row.task.lower().replace(" ", "_").replace("-", "_")
        made = [missing(name, f"The survey's metric: {row.metric}.", note)]
    return [replace(f, family=row.ability, subtype=row.task) for f in made]
