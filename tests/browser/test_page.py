"""The page in Chromium, with a light session: what a person sees when something is wrong."""

import signal
import time

import psutil
import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.realtime, pytest.mark.timeout(180)]

FAKE_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def server(serve):
    with serve("light_session:load") as server:
        yield server


@pytest.fixture(scope="module")
def browser(launch):
    """A browser whose microphone beeps once a second."""
    browser = launch(*FAKE_MICROPHONE, "--host-resolver-rules=MAP agent.test 127.0.0.1")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def bare_browser(launch):
    """A browser on a machine without a microphone."""
    browser = launch()
    yield browser
    browser.close()


def expect_problem(page, text):
    expect(page.get_by_role("alert")).to_contain_text(text, timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Start talking")).to_be_visible()


def expect_live(page):
    expect(page.locator("#talk")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)


def test_the_keyboard_starts_and_stops_a_conversation(server, browser, open_page):
    with open_page(browser, server.url) as page:
        expect(page.locator("#server")).to_have_text("ready")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Start talking")).to_be_focused()
        page.keyboard.press("Enter")
        expect_live(page)
        expect(page.locator("#floor")).to_have_text("Listening to you")
        expect(page.locator("#stat-echo")).to_have_text("on")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Start talking")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_both_waveforms_move(serve, browser, open_page):
    # Columns with ink well above the middle line, where only a tall bar reaches.
    columns = """id => {
        const { width, height } = document.getElementById(id);
        const pen = document.getElementById(id).getContext("2d");
        const row = pen.getImageData(0, Math.round(height * 0.42), width, 1).data;
        return row.filter((value, index) => index % 4 === 3 && value > 200).length;
    }"""
    with serve("light_session:load_long") as server, open_page(browser, server.url) as page:
        assert page.evaluate(columns, "user-wave") == 0
        page.click("#talk")
        expect_live(page)
        for wave in ("user-wave", "agent-wave"):
            give_up = time.monotonic() + PATIENCE_MS / 1000
            while page.evaluate(columns, wave) <= 3:
                assert time.monotonic() < give_up, f"{wave} stays flat"
                page.wait_for_timeout(250)


def test_leaving_the_page_frees_the_agent(server, browser, open_page):
    with open_page(browser, server.url) as page:
        page.click("#talk")
        expect_live(page)
        page.goto("about:blank")
        left = time.monotonic()
        while page.request.get(f"{server.url}/readyz").json()["calls"]:
            assert time.monotonic() < left + 8, "freed only because no sound came any more"
            page.wait_for_timeout(100)


def test_a_second_person_is_told_that_the_agent_is_taken(server, browser, open_page):
    with open_page(browser, server.url) as first, open_page(browser, server.url) as second:
        first.click("#talk")
        expect_live(first)
        second.click("#talk")
        expect_problem(second, "The agent is in another conversation.")


def test_without_a_microphone_the_page_says_so(server, bare_browser, open_page):
    with open_page(bare_browser, server.url, permissions=["microphone"]) as page:
        page.click("#talk")
        expect_problem(page, "No microphone was found.")


def test_a_denied_microphone_is_explained(server, launch, open_page):
    browser = launch(FAKE_MICROPHONE[0])  # there is one, but nobody allows it
    with open_page(browser, server.url) as page:
        page.click("#talk")
        expect_problem(page, "The microphone is blocked.")
    browser.close()


def test_an_insecure_address_is_explained(server, browser, open_page):
    url = server.url.replace("127.0.0.1", "agent.test")
    with open_page(browser, url) as page:
        page.click("#talk")
        expect_problem(page, "The browser blocks the microphone here.")


def test_a_crash_of_the_worker_is_shown_and_overcome(serve, browser, open_page):
    with serve("light_session:load") as server, open_page(browser, server.url) as page:
        page.click("#talk")
        expect_live(page)
        psutil.Process(server.process.pid).children()[0].kill()
        expect(page.get_by_role("alert")).to_contain_text("crashed", timeout=PATIENCE_MS)
        expect(page.locator("#server")).to_have_text("restarting the agent")
        expect(page.locator("#server")).to_have_text("ready", timeout=PATIENCE_MS)
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.get_by_role("log")).to_contain_text("The agent was restarted.")
        expect_live(page)


def test_why_the_agent_does_not_start_is_on_the_page(serve, browser, open_page):
    with (
        serve("light_session:load_nothing", ready=False) as server,
        open_page(browser, server.url) as page,
    ):
        expect(page.get_by_role("alert")).to_contain_text(
            "the weights are missing: run duplex-agent doctor", timeout=PATIENCE_MS
        )


def test_a_server_that_stops_is_told_at_once_and_one_that_is_gone_when_asked(
    serve, browser, open_page
):
    with serve("light_session:load") as server, open_page(browser, server.url) as page:
        page.click("#talk")
        expect_live(page)
        server.process.send_signal(signal.SIGTERM)
        expect_problem(page, "The server is shutting down.")
        expect(page.locator("#server")).to_have_text("no server", timeout=PATIENCE_MS)
        page.click("#talk")
        expect_problem(page, "The server does not answer.")
