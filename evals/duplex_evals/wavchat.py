"""The WavChat suite: every row of the survey's table with a figure or with the reason for none.

Spoken questions, requests, conversations with something to remember, unsafe requests and a part of
the duplex families are held; robustness repeats a few of them under every condition; the language
model is asked the same in writing. Only the optional judge has an opinion.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from duplex_evals.agents import Agent
from duplex_evals.content import content_figures as content
from duplex_evals.content import instructions, safety, slots, spoken_qa
from duplex_evals.content.estimates import mean, missing
from duplex_evals.content.findings import Finding, find_once, is_clean, kind_of, score
from duplex_evals.duplex_summary import summarise
from duplex_evals.figures import Figure, Summary
from duplex_evals.judge import NO_JUDGE, Judge, open_judge
from duplex_evals.offline import run_offline
from duplex_evals.record import Record, load_record
from duplex_evals.robustness import CLEAN, case_of, sweep
from duplex_evals.run import Outcome, Runner, run_cases
from duplex_evals.scenario import Scenario
from duplex_evals.suites import FAMILIES
from duplex_evals.wavchat_table import ROWS, Row

VERSION: Final = 1
PARTS: Final[tuple[Callable[[], list[Scenario]], ...]] = (
    spoken_qa.scenarios,
    instructions.scenarios,
    slots.scenarios,
    safety.scenarios,
)
INTERACTION: Final = (
    "user_interruption",
    "user_backchannel",
    "third_party",
    "pause_handling",
    "smooth_turn",
    "agent_backchannel",
)
INTERACTION_CASES: Final = 10
SWEPT: Final[tuple[int, ...]] = (
    12,
    3,
    3,
    3,
)  # cases of each part that are repeated under every condition
SWEPT_SHARE: Final = (2, 4, 4, 4)  # of a limited run, one case in so many
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
        "missed_response_rate",
        "backchannel_per_minute",
        "floor_transfer_offset_p50",
    ),
}
Writer = Callable[[Sequence[str], str], list[str]]
"""(turns of the user, system prompt) -> the replies in writing."""


def scenarios(limit: int | None = None) -> list[Scenario]:
    """Every conversation of the suite; with ``limit``, of each part at most so many.

    Raises ClipError where the human recordings of the duplex families are not installed.
    """
    parts = [make()[:limit] for make in PARTS]
    counts = SWEPT
    if limit is not None:
        counts = tuple(min(n, limit // k) for n, k in zip(SWEPT, SWEPT_SHARE, strict=True))
    swept = [part[:count] for part, count in zip(parts, counts, strict=True)]
    count = INTERACTION_CASES if limit is None else min(limit, INTERACTION_CASES)
    talk = [FAMILIES[name]()[:count] for name in INTERACTION]
    return [*chain.from_iterable(parts), *chain.from_iterable(talk), *sweep([*chain(*swept)])]


def run(
    agent_factory: Callable[[], Agent],
    out: Path,
    limit: int | None = None,
    judge_url: str | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[Iterable[Outcome], int], Iterable[Outcome]] = lambda held, total: held,
) -> list[Figure]:
    """Hold the suite with an agent in this process and give the figures of every row.

    Records are kept in ``out`` and not held again. With ``jobs`` > 1 ``agent_factory`` has to be
    picklable. ``progress`` wraps the outcomes as they come. Raises ResultError when the disk is
    full, TargetError for a judge that cannot be used.
    """
    judge = open_judge(judge_url) if judge_url else None
    agent = agent_factory()
    wanted = scenarios(limit)
    make_runner = partial(_new_runner, agent_factory) if jobs > 1 else lambda: _runner(agent)
    held = run_cases(wanted, seed, agent.name, make_runner, out, jobs)
    folders = [o.folder for o in progress(held, len(wanted)) if o.state != "failed"]
    records = [(load_record(folder), folder) for folder in sorted(folders)]
    writer = writer_of(agent.name)
    return figures(records, agent.abilities, out, writer, judge, failed=len(wanted) - len(folders))


def _runner(agent: Agent) -> Runner:
    return partial(run_offline, agent)


def _new_runner(agent_factory: Callable[[], Agent]) -> Runner:
    return _runner(agent_factory())


def writer_of(agent_name: str) -> Writer | None:
    """How to ask that agent in writing; None for one of which only the sound is known.

    The agents of this repository think with the same language model, each in its own place.
    """
    if agent_name != "local" and not agent_name.startswith("cascade"):
        return None
    from duplex_agent.model.thinker import load_thinker
    from duplex_evals.content.written import written_replies

    return partial(written_replies, load_thinker())


def figures(
    records: Sequence[tuple[Record, Path]],
    abilities: Collection[str],
    out: Path,
    writer: Writer | None = None,
    judge: Judge | None = None,
    failed: int = 0,
) -> list[Figure]:
    """The figures of records with their folders, in the order of the table.

    ``failed`` counts conversations that could not be held. ``family`` and ``subtype`` of a figure
    are the ability and the task of its row.
    """
    asked = {s.id for make in PARTS for s in make()}
    parts = [(r, f) for r, f in records if case_of(r.scenario.id)[0] in asked]
    found = look_at(parts)
    clean = [f for f in found if is_clean(f)]
    written = asked_in_writing(clean, writer, out / "written.json") if writer else {}
    known = {record.scenario.id for record, _ in parts}
    talk = summarise([r for r, _ in records if r.scenario.id not in known], abilities)
    quiet = [r for r, _ in parts if case_of(r.scenario.id)[1] == CLEAN]
    latency = summarise(quiet, abilities)
    made: dict[str, list[Figure]] = {
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
            figure
            for kind, what in (
                ("memory", "Facts of an earlier turn"),
                ("correction", "Facts that were corrected"),
            )
            for figure in content.success(
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


def asked_in_writing(found: Sequence[Finding], writer: Writer, store: Path) -> dict[str, bool]:
    """Whether each case is right in writing. Replies are kept in ``store`` between runs."""
    replies: dict[str, str] = {}
    if store.is_file():
        stored = json.loads(store.read_text("utf-8"))
        replies = stored["replies"] if stored.get("version") == VERSION else {}
    for finding in found:
        if finding.case not in replies:
            turns, prompt = _in_writing(finding.case)
            replies[finding.case] = writer(turns, prompt)[-1]
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


def _picked(summary: Summary, task: str) -> Iterator[Figure]:
    for name in FROM_DUPLEX[task]:
        yield summary.get(name)


def _speed_factor(records: Sequence[Record]) -> Figure:
    timed = [r for r in records if r.compute_ms]
    return mean(
        "speed_factor",
        "Audio time by compute time, which the survey calls real-time factor: above 1 is faster.",
        [r.duration_s for r in timed],
        per=[sum(r.compute_ms) / 1000 for r in timed],
        note="" if timed else "the target does not tell its compute time",
    )


def _judged(clean: Sequence[Finding], judge: Judge | None) -> Figure:
    definition = "Relevance 0 to 5 by the published rubric (judge_rubric.md), questions and memory."
    if judge is None:
        return missing("judged_relevance", definition, NO_JUDGE)
    asked = [f for f in clean if f.part in ("questions", "slots")]
    scores = [
        float(judge.relevance(f.user, (f.heard if f.text is None else f.text) or "")) for f in asked
    ]
    return mean("judged_relevance", definition, scores, note=f"judge: {judge.model}")


def _failures(failed: int, held: int) -> Figure:
    return mean(
        "failed_conversations",
        "Conversations that could not be held to their end.",
        [1.0] * failed + [0.0] * held,
        "share",
    )


def _row(row: Row, made: Sequence[Figure], abilities: Collection[str]) -> list[Figure]:
    """The row's figures, in their place; a row without any says why."""
    if row.claim and row.claim not in abilities:
        note = f"the agent does not claim: {row.claim}"
        made = [replace(f, value=None, low=None, high=None, n=0, note=note) for f in made]
    else:
        note = "claimed, but this suite has no test of it"
    if not made:
        name = row.task.lower().replace(" ", "_").replace("-", "_")
        made = [missing(name, f"The survey's metric: {row.metric}.", note)]
    return [replace(f, family=row.ability, subtype=row.task) for f in made]
