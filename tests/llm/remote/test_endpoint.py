"""Which URLs, models and keys are taken, and how a worker comes to know them."""

import asyncio
import os

import pytest
from typer.testing import CliRunner

from duplex_agent.cli import app
from duplex_agent.engine.supervisor import Supervisor, WorkerState
from duplex_agent.errors import SpecError
from duplex_agent.llm.remote.endpoint import Endpoint
from duplex_agent.spec import AgentSpec

URL = "http://localhost:8080/v1"


@pytest.mark.parametrize("url", [URL, f"{URL}/", "https://[::1]/v1", "https://models.example"])
def test_the_request_goes_below_the_base(url: str) -> None:
    assert Endpoint(url, "small").completions_url == f"{url.rstrip('/')}/chat/completions"


@pytest.mark.parametrize(
    ("url", "model", "timeout_s", "expected"),
    [
        ("", "small", 1, "is no address"),
        ("localhost:8080/v1", "small", 1, "is no address"),
        ("ftp://localhost/v1", "small", 1, "is no address"),
        ("http:///v1", "small", 1, "is no address"),
        ("http://localhost:port/v1", "small", 1, "is no address"),
        ("http://[::1/v1", "small", 1, "is no address"),
        ("http://localhost/v1?key=3", "small", 1, "is no address"),
        ("http://local host/v1", "small", 1, "is no address"),
        ("http://me:secret@localhost/v1", "small", 1, "OPENAI_API_KEY"),
        (URL, " ", 1, "--llm-model"),
        (URL, None, 1, "--llm-model"),
        (None, "small", 1, "needs --llm"),
        (URL, "small", 0, "timeout"),
        (URL, "small", float("nan"), "timeout"),
    ],
)
def test_half_an_endpoint_is_refused_in_one_line(
    url: str | None, model: str | None, timeout_s: float, expected: str
) -> None:
    with pytest.raises(SpecError, match=expected) as caught:
        AgentSpec.of(llm=url, llm_model=model, llm_timeout=timeout_s)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_options_there_is_no_endpoint() -> None:
    assert AgentSpec().endpoint is None


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_holds_is_refused_without_showing_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SpecError, match="OPENAI_API_KEY") as caught:
        AgentSpec.of(llm=URL, llm_model="small")
    assert key not in str(caught.value)


@pytest.mark.parametrize("command", [["serve"], ["talk", __file__]])
def test_the_commands_refuse_a_bad_endpoint_before_anything_else(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--llm", "nonsense", "--llm-model", "small"])
    assert isinstance(result.exception, SpecError)


def test_the_worker_is_told_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "engine")
    monkeypatch.setenv("PYTHONPATH", engine)

    async def detail() -> str:
        spec = AgentSpec(llm=URL, llm_model="--odd name", llm_timeout=2.5)
        supervisor = Supervisor(spec, "light_session:load_naming")
        supervisor.start()
        try:
            async with asyncio.timeout(60):
                await supervisor.wait_for(WorkerState.RESTARTING)
            return supervisor.detail
        finally:
            await supervisor.stop()

    assert asyncio.run(detail()) == f"{URL} runs --odd name, 2.5 s"
