"""Servers in processes of their own and the system's Chromium."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

LIGHT_SESSIONS = Path(__file__).parents[1] / "engine"
START = """
from duplex_agent.gateway.app import GatewayConfig
from duplex_agent.gateway.server import serve
serve("127.0.0.1", 0, GatewayConfig(factory={factory!r}))
"""


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str


@contextmanager
def serving(factory: str, ready: bool = True) -> Iterator[Server]:
    """A server whose worker loads ``factory`` (module:callable), once that is ready."""
    path = [str(LIGHT_SESSIONS), os.getcwd()]
    with subprocess.Popen(
        [sys.executable, "-c", START.format(factory=factory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    ) as process:
        try:
            url = re.search(r"http://\S+", process.stdout.readline())[0]
            while ready and not (line := process.stdout.readline()).startswith("Ready"):
                assert line, "the server ended before it was ready"
                assert not line.startswith("The worker ended"), line
            yield Server(process, url)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(15)
                finally:
                    process.kill()


@pytest.fixture(scope="session")
def serve() -> Callable[..., object]:
    """``with serve(factory) as server``."""
    return serving


# Per module and not per session: while it runs, no other test can call asyncio.run.
@pytest.fixture(scope="module")
def playwright_driver() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def launch(playwright_driver: Playwright) -> Callable[..., Browser]:
    """Start the system's Chromium. Playwright's own headless shell has no microphone at all."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    if chromium is None:
        pytest.fail("these tests need Chromium: apt install chromium, or set CHROMIUM")

    def start(*arguments: str) -> Browser:
        # Containers run as root, where Chromium's sandbox cannot start.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        return playwright_driver.chromium.launch(
            executable_path=chromium, headless=True, args=[*sandbox, *arguments]
        )

    return start


@contextmanager
def opened(browser: Browser, url: str, **context) -> Iterator[Page]:
    """A page on ``url``; anything on its console that is an error fails the test."""
    pages = browser.new_context(**context)
    page = pages.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Policy" in line.text else None)
    page.goto(url)
    try:
        yield page
    finally:
        pages.close()
    assert errors == []


@pytest.fixture(scope="session")
def open_page() -> Callable[..., object]:
    """``with open_page(browser, url, **context options) as page``."""
    return opened
