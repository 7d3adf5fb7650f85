"""The HTTP endpoints: the page, the call API, health. Imports no torch."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from duplex_agent.engine.sessions import DEFAULT_FACTORY
from duplex_agent.engine.supervisor import Supervisor, WorkerState
from duplex_agent.gateway.aiortc_internals import check_internals
from duplex_agent.gateway.api_error import ApiError
from duplex_agent.gateway.call import CallTimeouts
from duplex_agent.gateway.calls import Calls
from duplex_agent.gateway.offer import MAX_OFFER_BYTES
from duplex_agent.spec import AgentSpec

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
READ: Final = ["GET", "HEAD"]
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class GatewayConfig:
    """What a gateway serves. ``factory`` names what makes the worker's sessions of ``spec``
    (``module:callable``).
    """

    spec: AgentSpec = field(default_factory=AgentSpec)
    factory: str = DEFAULT_FACTORY
    slots: int = 1
    timeouts: CallTimeouts = field(default_factory=CallTimeouts)


def create_app(config: GatewayConfig) -> FastAPI:
    """The application; its life span is the life span of the worker."""
    supervisor = Supervisor(config.spec, config.factory, config.slots)
    calls = Calls(supervisor, config.timeouts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        check_internals()
        supervisor.start()
        try:
            yield
        finally:
            await calls.close()
            await supervisor.stop()

    app = FastAPI(title="duplex-agent", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.supervisor = supervisor
    app.state.calls = calls
    app.add_exception_handler(ApiError, _answer_error)
    app.middleware("http")(_guard)
    _add_calls(app, calls)
    _add_health(app, supervisor, calls, config)
    page = resources.files("duplex_agent.gateway") / "web"
    app.mount("/", StaticFiles(directory=str(page), html=True), name="page")
    return app


def _add_calls(app: FastAPI, calls: Calls) -> None:
    @app.post("/v1/realtime/calls", status_code=201)
    async def create_call(request: Request) -> Response:
        id, answer = await calls.answer(await _read_offer(request))
        location = {"Location": f"/v1/realtime/calls/{id}"}
        return Response(answer, 201, location, media_type="application/sdp")

    @app.post("/v1/realtime/calls/{id}/hangup")
    async def hang_up(id: str) -> dict[str, str]:
        await calls.hang_up(id)
        return {"id": id, "status": "ended"}

    @app.delete("/v1/realtime/calls/{id}", status_code=204)
    async def delete_call(id: str) -> None:
        await calls.hang_up(id)


def _add_health(app: FastAPI, supervisor: Supervisor, calls: Calls, config: GatewayConfig) -> None:
    @app.api_route("/healthz", methods=READ)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.api_route("/readyz", methods=READ)
    async def readyz() -> JSONResponse:
        ready = supervisor.state is WorkerState.READY
        body = {
            "status": str(supervisor.state),
            "detail": supervisor.detail,
            "slots": config.slots,
            "calls": len(calls),
            "agent": config.spec.model_dump(mode="json"),
        }
        return JSONResponse(body, 200 if ready else 503, {} if ready else {"Retry-After": "2"})


async def _read_offer(request: Request) -> str:
    """The SDP of a request, sent raw or as JSON ``{"type": "offer", "sdp": ...}``."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/sdp", "application/json"):
        message = "send the offer as application/sdp, or as JSON with sdp and type"
        raise ApiError(415, "unsupported_media_type", message)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_OFFER_BYTES:
            limit = f"an offer has at most {MAX_OFFER_BYTES // 1024} KiB"
            raise ApiError(413, "offer_too_large", limit)
    try:
        if kind == "application/sdp":
            return body.decode()
        return _offer_of_json(json.loads(body))
    except (ValueError, RecursionError) as error:  # the latter: brackets in brackets in brackets
        raise ApiError(400, "invalid_offer", "the body is not an SDP offer") from error


def _offer_of_json(value: Any) -> str:
    if not isinstance(value, dict) or value.get("type") != "offer":
        raise ValueError("not an offer")
    text = value.get("sdp")
    if not isinstance(text, str):
        raise ValueError("no sdp")
    text.encode()  # JSON can hold halves of characters, an answer cannot
    return text


async def _guard(request: Request, call_next: Handler) -> Response:
    """Refuse what another site's page sends; tell the browser what the page may do."""
    origin = request.headers.get("origin")
    if origin is not None and _host_of(origin) != request.headers.get("host"):
        error = ApiError(403, "origin_not_allowed", "calls come from this server's own page only")
        return JSONResponse(error.body(), error.status)
    response = await call_next(request)
    response.headers.update(PAGE_HEADERS)
    return response


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, error.headers())
