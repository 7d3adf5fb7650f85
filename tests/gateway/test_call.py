"""Whole calls over the loopback interface: sound, events, faults, ends."""

import asyncio
import os
import signal
import time

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.realtime


def burst(*spans, hz=440):
    """48 kHz: a tone in each (start, end) in seconds."""
    t = np.arange(int(spans[-1][1] * 48_000)) / 48_000
    inside = np.any([(start <= t) & (t < end) for start, end in spans], axis=0)
    return 0.3 * np.sin(2 * np.pi * hz * t) * inside


def worker_of(server):
    """The server's worker process."""
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def test_what_is_said_comes_back_as_sound_and_events(server, caller):
    async def scenario():
        async with caller(server, burst((0.5, 1.5))) as call:
            await call.call()
            assert (await call.wait_event("session.created"))["tick_ms"] == 80
            started = await call.wait_event("reply.started")
            heard_s = await call.wait_audio(440)
            await call.wait_event("reply.done")
            assert heard_s - started["received_s"] < 1.5
            assert 0 < started["transport_ms"] < 600
            times = [event["at_ms"] for event in call.events]
            assert times == sorted(times)
            types = [event["type"] for event in call.events]
            assert types[0] == "session.created"
            assert types.index("user.turn_ended") < types.index("reply.spoken.delta")

    asyncio.run(scenario())
    server.wait_state(calls=0)


def test_barge_in_silences_what_was_already_queued(start_server, caller):
    async def scenario(server):
        async with caller(server, burst((0.5, 0.9), (3, 4))) as call:
            await call.call()
            await call.wait_audio(440)
            flush = await call.wait_event("playback.flush")
            assert flush["unheard_ms"] >= 0
            await asyncio.sleep(1)
            flushed_s = flush["received_s"]
            loud = [at for at, frame in call.sound if np.abs(frame).max() > 0.01]
            assert min(loud) < flushed_s
            # aiortc's own receiver, which the caller is, holds 80 ms back.
            assert max(loud) < flushed_s + 0.25

    with start_server("load_long") as server:
        asyncio.run(scenario(server))


def test_the_second_caller_is_told_to_come_back_and_a_hangup_makes_room(server, caller):
    async def scenario():
        async with caller(server, burst((0, 1))) as first, caller(server, burst((0, 1))) as second:
            path = await first.call()
            await first.wait_event("session.created")
            status, headers, body = await second.post()
            assert status == 503
            assert '"session_limit_reached"' in body
            assert int(headers["Retry-After"]) > 0
            status, _, _ = await asyncio.to_thread(server.request, path, method="DELETE")
            assert status == 204
            assert (await first.wait_event("call.ended"))["reason"] == "hangup"
        async with caller(server, burst((0, 1))) as third:
            await third.call()
            await third.wait_event("session.created")

    asyncio.run(scenario())
    server.wait_state(calls=0)


def test_a_killed_worker_is_reported_and_the_call_goes_on_with_the_next(start_server, caller):
    async def scenario(server):
        async with caller(server, burst((0.5, 1), (8, 9))) as call:
            await call.call()
            await call.wait_event("session.created")
            worker_of(server).kill()
            await call.wait_event("worker.restarting", within_s=3)
            assert server.state()["status"] == "restarting"
            await call.wait_event("worker.ready")
            assert server.state()["status"] == "ready"
            await call.wait_audio(440, within_s=15)

    with start_server() as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize(("factory", "restored"), [("load", True), ("load_forgetful", False)])
def test_a_conversation_survives_its_worker_unless_restoring_kills_the_next(
    start_server, caller, factory, restored
):
    async def scenario(server):
        async with caller(server, burst((0.5, 1), (14, 15))) as call:
            await call.call()
            await call.wait_event("reply.done")
            worker_of(server).kill()
            await call.wait_event("worker.restarting", within_s=3)
            ready = await call.wait_event("worker.ready", within_s=12)
            assert ready["restored"] is restored
            assert len(call.of_type("error")) == (0 if restored else 1)
            again = await call.wait_event("reply.started", after=ready, within_s=20)
            assert again["reply_id"] == (2 if restored else 1)

    with start_server(factory) as server:
        asyncio.run(scenario(server))


def test_a_call_whose_sound_stops_is_ended_and_its_slot_is_free(start_server, caller):
    async def scenario(server):
        async with caller(server, burst((0, 1)), mute_after_s=2) as call:
            await call.call()
            assert (await call.wait_event("call.ended"))["reason"] == "no_audio"
            await asyncio.to_thread(server.wait_state, calls=0)
        async with caller(server, burst((0, 1))) as call:
            await call.call()
            await call.wait_event("session.created")

    with start_server(timeouts="CallTimeouts(no_audio_s=1)") as server:
        asyncio.run(scenario(server))


def test_a_caller_that_never_connects_is_given_up(start_server, caller):
    async def scenario(server):
        async with caller(server, burst((0, 1))) as call:
            status, _, _ = await call.post()
            assert status == 201
            assert server.state()["calls"] == 1
            await asyncio.to_thread(server.wait_state, calls=0)

    with start_server(timeouts="CallTimeouts(connect_s=1)") as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_server_in_a_call_leaves_no_process(start_server, caller, number):
    async def scenario(server):
        async with caller(server, burst((0, 1))) as call:
            await call.call()
            await call.wait_event("session.created")
            os.kill(server.process.pid, number)
            if number != signal.SIGKILL:
                assert (await call.wait_event("call.ended"))["reason"] == "shutdown"

    with start_server() as server:
        worker = worker_of(server)
        started = time.monotonic()
        asyncio.run(scenario(server))
        server.process.wait(timeout=10)
        worker.wait(timeout=5)
        assert time.monotonic() - started < 15
