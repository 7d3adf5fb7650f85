"""Command line: ``duplex-evals list | run | compare | diff | load``, and the single parts.

Exit codes: 0 passed, 1 a gate failed or a conversation could not be held, 2 wrong usage, a part
that cannot be measured, or results that cannot be stored, 3 the system under test could not be
reached.
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import typer

from duplex_agent.errors import DuplexError
from duplex_agent.printable import printable
from duplex_agent.terminal import Console, say_error
from duplex_evals.errors import TargetError

NAME: Final = "duplex-evals"
FAILED: Final = 1
USAGE: Final = 2
CONNECTION: Final = 3

PARTS: Final = {
    "voice": ("voice.evaluate", "The voice beside its teacher's: WER, quality, similarity, cost."),
    "voice-heads": ("voice.heads", "Flow, code and energy heads under noise on their history."),
    "voice-cost": ("performance.voice_cost", "CPU time of the voice: PyTorch and ONNX Runtime."),
    "resynthesis": ("voice.resynthesis", "The codec alone: what it loses of the teacher's voice."),
    "listening-page": ("voice.listening_page", "A page to listen to: teacher, codec, flow steps."),
    "understanding": ("understanding.evaluate", "How well speech is understood, in five parts."),
    "speech-tokens": ("understanding.tokens", "Words against the neural adapter's tokens."),
    "ear-cost": ("performance.ear_cost", "CPU time of the ear in a tick, beside CTranslate2."),
    "thinker-speed": ("performance.thinker_speed", "Milliseconds per step of the thinker."),
    "style": ("content.style", "How the thinker talks: length, lists, right answers."),
    "talk": ("performance.talk", "Twenty spoken questions: answers, latency, compute per tick."),
    "long-call": ("performance.long_call", "A call of an hour: memory, ticks, facts kept."),
    "opening": ("performance.opening", "What opening a call costs three others that talk."),
    "startup": ("performance.startup", "Seconds until the server is ready; its memory in a call."),
    "echo-peer": ("network.echo_peer", "A peer that sends audio back, for calibration."),
}
"""Command -> module below this package, imported when the command runs, and what it does."""

app = typer.Typer(
    help="Measures duplex voice agents: this project's, the cascade to beat, or any server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command(name="list")
def list_suites() -> None:
    """Show the suites and the agents."""
    from duplex_evals.run_command import show_suites

    show_suites(Console())


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="a suite's name (see list) or a YAML file")],
    agent: Annotated[
        list[str], typer.Option(help="local, cascade, cascade:smart_turn or a URL; repeatable")
    ],
    limit: Annotated[
        int | None, typer.Option(min=1, help="the first N conversations of each family")
    ] = None,
    out: Annotated[Path, typer.Option(help="where results are kept")] = Path("runs/evals"),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="processes, each with an agent of its own; 1 for a URL")
    ] = 1,
    gates: Annotated[Path | None, typer.Option(help="YAML file of limits to keep")] = None,
    judge: Annotated[
        str, typer.Option(help="URL of an OpenAI-compatible model that scores relevance (wavchat)")
    ] = "",
) -> None:
    """Hold the conversations of SUITE with each agent and report; go on where a run stopped."""
    from duplex_evals.run_command import Order, run_order

    order = Order(suite, agent, out, limit, seed, jobs, gates, judge)
    if not run_order(order, Console(stderr=True)):
        raise typer.Exit(FAILED)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="folders of runs")],
    out: Annotated[Path, typer.Option(help="where compare.html and compare.md go")] = Path("."),
) -> None:
    """Put several runs side by side on one page."""
    from duplex_evals.report.document import read_report
    from duplex_evals.report.write import write_comparison

    write_comparison([read_report(folder) for folder in folders], folders, out)
    typer.echo(printable(str(out / "compare.html")))


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="folder of a run")],
    after: Annotated[Path, typer.Argument(help="folder of a later run of the same suite")],
) -> None:
    """Compare the conversations of two runs bit for bit; exit 1 when one differs."""
    from duplex_evals.report.differences import differences

    found = differences(before, after)
    for difference in found:
        if not difference.equal:
            typer.echo(difference)
    equal = sum(difference.equal for difference in found)
    typer.echo(f"{equal} of {len(found)} conversations are equal")
    if equal < len(found):
        raise typer.Exit(FAILED)


@app.command()
def load(
    url: Annotated[str, typer.Argument(help="the server")] = "http://127.0.0.1:8000",
    callers: Annotated[str, typer.Option(help="1..4, or 1,2,8")] = "1..4",
    p95_ms: Annotated[float, typer.Option(help="latency that 95 % of the turns keep")] = 2_000.0,
    out: Annotated[Path | None, typer.Option(help="where to store the table as JSON")] = None,
) -> None:
    """Call a server with 1..N callers at once; print what each gets and the most it holds."""
    from duplex_evals.performance.load import main as run_load

    run_load(url, callers, p95_ms, out)


def _add_part(name: str, module: str, about: str) -> None:
    """Add a command whose arguments are those of the module's ``main``."""

    @app.command(
        name,
        help=about,
        rich_help_panel="Single parts",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def part(context: typer.Context) -> None:
        measure = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        measure.command()(import_module(f"duplex_evals.{module}").main)
        measure(context.args, prog_name=f"duplex-evals {name}")


for _name, (_module, _about) in PARTS.items():
    _add_part(_name, _module, _about)


def main() -> None:
    """Entry point: expected errors become one line and an exit code."""
    try:
        app(prog_name=NAME)
    except TargetError as error:
        say_error(NAME, error)
        raise SystemExit(CONNECTION) from error
    except DuplexError as error:
        say_error(NAME, error)
        raise SystemExit(USAGE) from error
    except KeyboardInterrupt:
        say_error(NAME, "stopped; finished conversations are kept, the same command goes on")
        raise SystemExit(130) from None
