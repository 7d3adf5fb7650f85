"""The headless caller against peers whose timing is known, and against the real gateway."""

import os
import signal
import threading

import numpy as np
import pytest
import soundfile
import uvloop
from duplex_evals.conversation.record import Placed
from duplex_evals.conversation.scenario import Anchor, Clip, Conditions, Item, Part, Scenario
from duplex_evals.errors import TargetError
from duplex_evals.metrics.conversation import listen
from duplex_evals.metrics.turns import reply_to
from duplex_evals.network.calibration import Calibration, measure, probe
from duplex_evals.network.endpoints import ProjectEndpoint
from duplex_evals.network.user_side import PlayedAudio
from duplex_evals.network.webrtc_caller import call, run_webrtc

PLAIN = Scenario(id="plain", family="custom")
NONE = Calibration(0.0, 0.0, 0)
WITHIN_MS = 20


def converse(url, pcm, calibration=NONE, scenario=PLAIN, seed=0):
    record, _ = uvloop.run(
        call(ProjectEndpoint(url), PlayedAudio(pcm), scenario, seed, calibration)
    )
    return record


@pytest.mark.realtime
def test_the_path_measures_the_same_for_every_chirp(webrtc_calibration):
    assert webrtc_calibration.n >= 5
    assert webrtc_calibration.spread_ms < WITHIN_MS
    # The user's tick and the listener's buffer alone are 140 ms.
    assert webrtc_calibration.delay_ms > 140


def test_a_delay_is_read_off_the_probe_exactly():
    audio = np.repeat(probe(), 3)[::2]  # 24 kHz
    agent = np.pad(audio, (2400, 0))[: len(audio)]
    found = measure(agent)
    assert abs(found.delay_ms - 100) < 0.1
    agent[: len(agent) // 3] = 0
    assert abs(measure(agent).delay_ms - 100) < 0.1
    with pytest.raises(TargetError, match="does not come back"):
        measure(np.zeros_like(audio))


@pytest.mark.realtime
def test_a_known_response_latency_comes_back_after_calibration(
    peer, user_audio, webrtc_calibration
):
    with peer("echo", 1700) as url:
        record = converse(url, user_audio(2.0, 1.0, 3.0), webrtc_calibration)
    assert record.offset_ms == webrtc_calibration.delay_ms
    turn = Placed("hum", "turn", "reply", "", [(2000.0, 3000.0)])
    assert abs(reply_to(listen(record), turn).latency_ms - 700) < WITHIN_MS


@pytest.mark.realtime
def test_a_known_stop_latency_comes_back_after_calibration(peer, user_audio, webrtc_calibration):
    with peer("talker", 400) as url:
        record = converse(url, user_audio(2.5, 1.0, 1.0), webrtc_calibration)
    (speech,) = listen(record).utterances
    assert abs(speech[1] - 2500 - 400) < WITHIN_MS


@pytest.mark.realtime
def test_lost_packets_are_lost_on_the_way(peer, user_audio):
    lossy = PLAIN.model_copy(update={"conditions": Conditions(loss=0.3)})
    with peer("echo", 0) as url:
        record = converse(url, user_audio(1.5, 3.0, 0.5), scenario=lossy)
    packets = np.abs(record.agent[40_000:100_000].reshape(-1, 480)).max(axis=1)
    # The user's channel holds what was said; the echo holds what arrived.
    assert np.abs(record.user[32_000:60_800].reshape(-1, 320)).max(axis=1).min() > 0.01
    assert 0.1 < (packets < 0.01).mean() < 0.6


@pytest.mark.realtime
def test_a_conversation_with_the_gateway_gives_both_channels_and_its_events(
    gateway, user_audio, webrtc_calibration, tmp_path
):
    soundfile.write(tmp_path / "hum.wav", user_audio(0, 1.2), 16_000)
    clip = Part(clip=Clip(file=str(tmp_path / "hum.wav")))
    item = Item(name="turn", kind="turn", expect="reply", parts=[clip], anchor=Anchor(delay_ms=900))
    scenario = Scenario(id="turn", family="custom", items=[item], tail_s=2.5)
    with gateway() as url:
        record = run_webrtc(url, scenario, 0, webrtc_calibration)
    (turn,) = record.placed
    assert abs(turn.start_ms - 900) < 1
    (speech,) = listen(record).utterances
    # The echo waits for 480 ms of quiet, in ticks of 80 ms, behind a jitter buffer.
    assert speech[0] - turn.end_ms > 480 - WITHIN_MS
    started = next(e for e in record.events if e["type"] == "reply.started")
    assert turn.end_ms < started["at_ms"] < speech[0] + 80
    assert "loud ticks" in record.heard_text
    assert record.transport == "webrtc"


def test_a_dead_server_is_named(dead_port):
    with pytest.raises(TargetError, match=rf"nothing answers at http://127.0.0.1:{dead_port}"):
        run_webrtc(f"http://127.0.0.1:{dead_port}", PLAIN, 0)


def test_a_server_that_dies_in_the_middle_ends_the_call(peer, user_audio):
    processes = []
    with peer("echo", 0, process_out=processes) as url:
        threading.Timer(2.0, os.kill, (processes[0].pid, signal.SIGKILL)).start()
        with pytest.raises(TargetError, match=r"no packet for 5 s|connection was lost"):
            converse(url, user_audio(30.0))


def test_what_the_user_raises_is_raised(peer):
    class Broken(PlayedAudio):
        def step(self, agent_pcm):
            raise RuntimeError("a bug")

    user = Broken(np.zeros(16_000, np.float32))
    with peer("echo", 0) as url, pytest.raises(RuntimeError, match="a bug"):
        uvloop.run(call(ProjectEndpoint(url), user, PLAIN, 0))
