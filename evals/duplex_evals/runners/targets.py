"""What ``--agent`` names: an agent in this process, or a server somewhere.

local                         the project's agent, through the tick
cascade, cascade:smart_turn   the cascade to beat, ending turns by 500 ms of silence or Smart Turn
scripted                      the agent with known delays, which the metrics are checked with
http://host:port              a server of this project, over WebRTC
openai+https://host[/path]    a server with the OpenAI Realtime API, over WebRTC (also openai+http)
openai+wss://host[/path]      the same over a WebSocket (also openai+ws), ``?model=`` as it wants
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final, Protocol
from urllib.parse import urlsplit

from duplex_evals.conversation.record import Record
from duplex_evals.conversation.scenario import Scenario
from duplex_evals.errors import TargetError
from duplex_evals.network.calibration import Calibration
from duplex_evals.runners.agent import Agent

OPENAI: Final = "openai+"


class Target(Protocol):
    """Something that can hold a scenario's conversation.

    ``live``: it takes real time, and several at once would disturb each other's timing.
    """

    live: bool

    @property
    def name(self) -> str: ...

    @property
    def abilities(self) -> frozenset[str]: ...

    def run(self, scenario: Scenario, seed: int) -> Record:
        """Raises TargetError when the conversation is lost, and ClipError."""
        ...


class OfflineTarget:
    """An agent in this process, made at its first use."""

    live = False

    def __init__(self, name: str, make: Callable[[], Agent], abilities: frozenset[str]) -> None:
        self.name = name
        self.abilities = abilities
        self._make = make

    @cached_property
    def agent(self) -> Agent:
        """The agent itself. Raises what making it raises."""
        return self._make()

    def run(self, scenario: Scenario, seed: int) -> Record:
        from duplex_evals.runners.offline import run_offline

        return run_offline(self.agent, scenario, seed)


class WebRtcTarget:
    """A server over WebRTC; the path is calibrated once, before the first conversation."""

    live = True

    def __init__(self, url: str) -> None:
        from duplex_evals.network.endpoints import Endpoint, ProjectEndpoint, RealtimeEndpoint

        openai = url.startswith(OPENAI)
        self.endpoint: Endpoint = (
            RealtimeEndpoint(url.removeprefix(OPENAI)) if openai else ProjectEndpoint(url)
        )
        self.name = self.endpoint.name
        # The gateway takes no instructions; whether a foreign server remembers is for it to show.
        self.abilities = frozenset({"memory", "instructions"} if openai else {"memory"})

    @cached_property
    def calibration(self) -> Calibration:
        from duplex_evals.network.echo_peer import calibrate
        from duplex_evals.network.endpoints import wait_until_ready

        wait_until_ready(self.endpoint)
        return calibrate("webrtc")

    def run(self, scenario: Scenario, seed: int) -> Record:
        from duplex_evals.network.webrtc_caller import run_webrtc

        return run_webrtc(self.endpoint, scenario, seed, self.calibration)


class SocketTarget:
    """A server of the OpenAI Realtime API over a WebSocket."""

    live = True
    abilities = frozenset({"memory", "instructions"})

    def __init__(self, url: str) -> None:
        from duplex_evals.network.realtime_caller import socket_address

        self.name = OPENAI + socket_address(url.removeprefix(OPENAI))

    @cached_property
    def calibration(self) -> Calibration:
        from duplex_evals.network.echo_peer import calibrate

        return calibrate("websocket")

    def run(self, scenario: Scenario, seed: int) -> Record:
        from duplex_evals.network.realtime_caller import run_websocket

        return run_websocket(self.name.removeprefix(OPENAI), scenario, seed, self.calibration)


def parse_target(text: str) -> Target:
    """The target that ``text`` names. Raises TargetError for what is none of the module's."""
    if text in _OFFLINE:
        name, make, abilities = _OFFLINE[text]
        return OfflineTarget(name, make, abilities)
    parts = urlsplit(text)
    if not parts.hostname:
        raise TargetError(f"{text!r} is no agent: try {', '.join(_OFFLINE)} or a URL")
    if parts.scheme in ("http", "https", "openai+http", "openai+https"):
        return WebRtcTarget(text)
    if parts.scheme in ("openai+ws", "openai+wss"):
        return SocketTarget(text)
    raise TargetError(f"{parts.scheme}:// is not spoken here: http, openai+https or openai+wss")


def _local() -> Agent:
    from duplex_evals.runners.local_agent import LocalAgent

    return LocalAgent()


def _cascade() -> Agent:
    from duplex_baselines.cascade import Cascade

    return Cascade("silero500")


def _cascade_smart_turn() -> Agent:
    from duplex_baselines.cascade import Cascade

    return Cascade("smart_turn")


def _scripted() -> Agent:
    from duplex_evals.runners.scripted_agent import ScriptedAgent

    return ScriptedAgent()


_REMEMBERS: Final = frozenset({"memory", "instructions"})
_OFFLINE: Final[dict[str, tuple[str, Callable[[], Agent], frozenset[str]]]] = {
    "local": ("local", _local, _REMEMBERS),
    "cascade": ("cascade-silero500", _cascade, _REMEMBERS),
    "cascade:silero500": ("cascade-silero500", _cascade, _REMEMBERS),
    "cascade:smart_turn": ("cascade-smart-turn", _cascade_smart_turn, _REMEMBERS),
    "scripted": ("scripted", _scripted, frozenset()),
}
