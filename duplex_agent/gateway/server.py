"""Runs the gateway: binds the port, says where to go, ends cleanly on Ctrl-C and SIGTERM."""

import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable

import uvicorn

from duplex_agent.engine.supervisor import WorkerState
from duplex_agent.errors import GatewayError
from duplex_agent.gateway.aiortc_internals import advertise_loopback, check_internals
from duplex_agent.gateway.app import GatewayConfig, create_app
from duplex_agent.runtime import heap

Say = Callable[[str], None]


def _print(line: str) -> None:
    print(line, flush=True)  # whoever started us may read from a pipe


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    config: GatewayConfig | None = None,
    say: Say = _print,
) -> None:
    """Serve until Ctrl-C or SIGTERM. ``port`` 0 picks a free one.

    Raises GatewayError when the address cannot be bound or aiortc is not the pinned one.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    heap.keep_small()
    check_internals()
    listener = _bind(host, port)
    if _is_local(host):
        advertise_loopback()
    app = create_app(config or GatewayConfig())
    url = f"http://{_shown(host)}:{listener.getsockname()[1]}"
    say(f"Listening on {url} (loading the model, the page says when it is ready)")
    app.state.supervisor.on_change(_reporter(url, say))
    settings = uvicorn.Config(
        app, loop="uvloop", log_level="warning", lifespan="on", timeout_graceful_shutdown=3
    )
    with contextlib.suppress(KeyboardInterrupt), listener:
        uvicorn.Server(settings).run(sockets=[listener])
    say("Stopped.")


def _reporter(url: str, say: Say) -> Callable[[WorkerState, str], None]:
    def report(state: WorkerState, detail: str) -> None:
        if state is WorkerState.READY:
            heap.trim()
            say(f"Ready: open {url} and talk. Ctrl-C stops.")
        elif state is WorkerState.RESTARTING:
            say(f"The worker ended and is started again: {detail}")

    return report


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise GatewayError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise GatewayError(f"port {port} is in use: choose another with --port") from error
        raise GatewayError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    """The host to put into a URL: what listens everywhere is reached as localhost."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
