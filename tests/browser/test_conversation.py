"""The whole house: a spoken question into Chromium's microphone, a spoken answer in the page.

The server is the real one with the real network; what is asserted is what a person would notice:
their words on the page, the agent's words on the page, and the agent's voice in the sound that
the page received.
"""

import base64
import io
import re
import shutil
import subprocess

import av
import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import expect

from duplex_agent.engine.sessions import DEFAULT_FACTORY

pytestmark = [
    pytest.mark.browser,
    pytest.mark.realtime,
    pytest.mark.assets,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

QUESTIONS = ("What is your favorite color?", "Do you like to read books?", "How are you today?")
BEFORE_S, GAP_S = 3, 11
PATIENCE_MS = 120_000
RECORD = """() => {
    const recorder = new MediaRecorder(document.getElementById("remote").srcObject);
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.start();
    window.recorded = () => new Promise((resolve) => {
        recorder.addEventListener("stop", async () => {
            const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
            resolve(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
        });
        recorder.stop();
    });
}"""


@pytest.fixture
def spoken(tmp_path):
    """A 48 kHz mono WAV: three questions with pauses for the answers."""
    if shutil.which("espeak-ng") is None:
        pytest.fail("this test needs a voice to ask with: apt install espeak-ng")
    parts = [np.zeros(BEFORE_S * 48_000)]
    for number, question in enumerate(QUESTIONS):
        path = tmp_path / f"{number}.wav"
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", path, question], check=True)
        sound, rate = soundfile.read(path)
        parts += [0.6 * soxr.resample(sound, rate, 48_000), np.zeros(GAP_S * 48_000)]
    path = tmp_path / "questions.wav"
    soundfile.write(path, np.concatenate(parts), 48_000, subtype="PCM_16")
    return path


def decode(data):
    """Mono 48 kHz samples of a WebM/Opus recording."""
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler("flt", "mono", 48_000)
        frames = [out for f in container.decode(audio=0) for out in resampler.resample(f)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def test_a_spoken_question_gets_a_spoken_answer(serve, launch, open_page, spoken):
    with serve(DEFAULT_FACTORY) as server:
        browser = launch(
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={spoken}%noloop",
            "--autoplay-policy=no-user-gesture-required",
        )
        with open_page(browser, server.url) as page:
            page.get_by_role("button", name="Start talking").click()
            expect(page.locator("#talk")).to_have_attribute(
                "data-state", "live", timeout=PATIENCE_MS
            )
            page.evaluate(RECORD)
            heard_words = page.locator("#transcript .user .words").first
            reply = page.locator("#transcript .agent").first
            expect(reply.locator(".words")).to_have_text(
                re.compile(r"\w+\W+\w+\W+\w+"), timeout=PATIENCE_MS
            )
            assert heard_words.inner_text().strip()
            expect(reply.locator(".time")).to_have_text(re.compile(r"after \d"))
            page.wait_for_timeout(2000)
            sound = decode(base64.b64decode(page.evaluate("() => window.recorded()")))
        browser.close()
    loudness = np.sqrt(np.mean(sound[: len(sound) // 4800 * 4800].reshape(-1, 4800) ** 2, axis=1))
    assert (loudness > 0.01).sum() >= 8, "less than 0.8 s of voice reached the page"
    assert (loudness < 0.003).sum() >= 5, "the agent did not wait for its turn"
