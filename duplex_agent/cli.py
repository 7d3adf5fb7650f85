"""The command line: ``duplex-agent serve | talk | say | listen | train | doctor``.

Every command imports what it needs when it runs, so ``--help`` is quick and the server process
never sees torch. Errors the project raises on purpose end as one line on stderr, exit code 1.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from duplex_agent.errors import DuplexError, TrainingError
from duplex_agent.printable import printable
from duplex_agent.spec import AgentSpec
from duplex_agent.spec_options import with_spec
from duplex_agent.terminal import say_error

_FOR_TRAINING: Final = ("matplotlib", "parselmouth", "piper", "scipy", "torch", "transformers")


app = typer.Typer(
    help="A voice agent that listens while it talks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

InputFile = Annotated[
    Path,
    typer.Argument(
        metavar="IN",
        help="audio file: WAV, FLAC or OGG, any sample rate, any number of channels",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("duplex-agent"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    pass


@app.command()
@with_spec
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port to listen on; 0: any free one")
    ] = 8000,
    slots: Annotated[int, typer.Option(min=1, max=256, help="conversations at the same time")] = 1,
    *,
    spec: AgentSpec,
) -> None:
    """Serve the page: open the printed URL in a browser and talk.

    `duplex-evals load` measures how many conversations a machine holds.
    """
    from duplex_agent.gateway.app import GatewayConfig
    from duplex_agent.gateway.server import serve as serve_gateway

    serve_gateway(host, port, GatewayConfig(spec, slots=slots))


@app.command()
@with_spec
def talk(
    source: InputFile,
    out: Annotated[
        Path | None, typer.Option(help="stereo WAV file: left the user, right the agent")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="events, turns and results as JSON")] = None,
    *,
    spec: AgentSpec,
) -> None:
    """Play a recording to the agent and store the conversation."""
    from duplex_agent.offline.talk import talk_file

    talk_file(source, out, json, spec)


@app.command()
def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="the text to speak")],
    out: Annotated[Path, typer.Option(help="WAV file, 24 kHz")] = Path("say.wav"),
    speed: Annotated[
        float, typer.Option(min=0.8, max=1.25, help="speaking rate; 1.25 is a quarter faster")
    ] = 1.0,
) -> None:
    """Speak a text with the agent's voice into a file."""
    from duplex_agent.offline.say import say_text

    say_text(text, out, speed)


@app.command()
def listen(
    source: InputFile,
    look_ahead: Annotated[
        int, typer.Option(metavar="80|160|320", help="look-ahead of the ear in ms")
    ] = 320,
) -> None:
    """Transcribe a recording as the agent hears it, with times."""
    from duplex_agent.offline.listen import listen_file

    listen_file(source, AgentSpec.of(look_ahead=look_ahead).look_ahead_ticks)


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="name of a recipe, such as mouth; an unknown name lists all"
        ),
    ],
    smoke: Annotated[bool, typer.Option("--smoke", help="tiny sizes, about a minute")] = False,
    work: Annotated[
        Path | None,
        typer.Option(help="folder of data, checkpoints, log and plot; kept between runs"),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="stop at this step; the next run resumes there")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder of the finished weights  [default: WORK/weights]")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda  [default: cuda if there is one]")
    ] = None,
) -> None:
    """Retrain a network, or resume a run that was interrupted."""
    try:
        _train(
            recipe,
            smoke,
            work or Path("runs") / ("smoke" if smoke else "train"),
            steps,
            out,
            device,
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _FOR_TRAINING:
            raise
        raise TrainingError(
            f"{error.name} is not installed: make setup-train, or pip install 'duplex-agent[train]'"
        ) from error


def _train(
    name: str, smoke: bool, work: Path, steps: int | None, out: Path | None, device: str | None
) -> None:
    import torch

    from duplex_agent.train.loop import train as run
    from duplex_agent.train.recipes import build

    recipe, config = build(name, smoke)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = out or work / "weights"
    loss = run(recipe, config, work, device, folder, stop_after=steps)
    typer.echo(f"{name}: loss {loss:.4f}; log and plot in {printable(str(work))}")
    if steps is None or steps >= config.steps:
        typer.echo(f"weights in {printable(str(folder))}")


@app.command()
def doctor(
    everything: Annotated[
        bool, typer.Option("--all", help="also the parts of training and evals")
    ] = False,
    fetch: Annotated[bool, typer.Option(help="fetch what is missing")] = True,
) -> None:
    """Check the installation and fetch missing parts; exit code 1 if the agent cannot run."""
    from duplex_agent.doctor import examine

    if not examine(everything, fetch):
        raise typer.Exit(1)


def main() -> None:
    """Entry point: expected errors become one line; anything else is a bug with its traceback."""
    try:
        app(prog_name="duplex-agent")
    except DuplexError as error:
        say_error("duplex-agent", error)
        raise SystemExit(1) from error
