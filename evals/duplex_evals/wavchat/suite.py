"""The WavChat suite: every row of the survey's table with a result or with the reason for none.

Spoken questions, requests, conversations with something to remember, unsafe requests and a part of
the duplex families are held; robustness repeats a few of them under every condition; the language
model is asked the same in writing. Only the optional judge has an opinion.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from duplex_evals.content import instructions, safety, slots, spoken_qa
from duplex_evals.content.judge import open_judge
from duplex_evals.conversation.record import load_record
from duplex_evals.conversation.robustness import sweep
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.families.suites import FAMILIES
from duplex_evals.metrics.result import Result
from duplex_evals.runners.agent import Agent
from duplex_evals.runners.batch import Outcome, Runner, run_cases
from duplex_evals.runners.offline import run_offline
from duplex_evals.wavchat.results import TextReplies, table_results

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
# Cases of each part that are repeated under every condition; of a limited run, one in so many.
SWEPT: Final[tuple[int, ...]] = (12, 3, 3, 3)
SWEPT_SHARE: Final = (2, 4, 4, 4)


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
) -> list[Result]:
    """Hold the suite with an agent in this process and give the results of every row.

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
    text_replies = text_replies_of(agent.name)
    return table_results(
        records, agent.abilities, out, text_replies, judge, failed=len(wanted) - len(folders)
    )


def _runner(agent: Agent) -> Runner:
    return partial(run_offline, agent)


def _new_runner(agent_factory: Callable[[], Agent]) -> Runner:
    return _runner(agent_factory())


def text_replies_of(agent_name: str) -> TextReplies | None:
    """How to ask that agent in writing; None for one of which only the sound is known.

    The agents of this repository think with the same language model, each in its own place.
    """
    if agent_name != "local" and not agent_name.startswith("cascade"):
        return None
    from duplex_agent.llm.load import shipped_thinker
    from duplex_evals.content.written import written_replies

    return partial(written_replies, shipped_thinker())
