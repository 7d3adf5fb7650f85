"""Servers that behave in a known way: ``python peers.py NAME MS``; prints its address.

echo MS        gives sound back MS later
talker MS      speaks without end, until MS after the first sample of the user's speech
realtime MS    the Realtime API over a WebSocket: answers after MS of quiet, three seconds at once,
               and stops when the user speaks; wants the key "sesame"
"""

import base64
import json
import sys

import numpy as np
import uvicorn
from duplex_evals.audio.hum import voice_hum
from duplex_evals.network.echo_peer import DelayLine, create_app
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from duplex_agent.gateway.aiortc_internals import advertise_loopback

LOUD = 0.02


class Talker:
    """A hum whose end is known to the sample, by the clock of the sound that comes in."""

    def __init__(self, rate_hz, stop_ms):
        self.rate_hz = rate_hz
        self.stop_samples = round(stop_ms * rate_hz / 1000)
        self.now = 0
        self.end = None

    def __call__(self, pcm):
        loud = np.flatnonzero(np.abs(pcm) > LOUD)
        if self.end is None and len(loud):
            self.end = self.now + int(loud[0]) + self.stop_samples
        at = np.arange(self.now, self.now + len(pcm))
        # The hum is made at 24 kHz: every sample is said twice at 48.
        hum = np.repeat(voice_hum(self.now // 2, self.now // 2 + len(pcm) // 2), 2)
        self.now += len(pcm)
        return np.where(at < (self.end or np.inf), hum, 0).astype(np.float32)


class Realtime:
    """One session of the Realtime API, turn by turn."""

    def __init__(self, socket, quiet_ms):
        self.socket = socket
        self.quiet_limit = quiet_ms * 24
        self.quiet = 0
        self.speaking = False
        self.replies = 0

    async def run(self):
        await self.send("session.created", session={"type": "realtime"})
        while True:
            message = json.loads(await self.socket.receive_text())
            if message["type"] == "session.update":
                if message["session"].get("instructions") == "forbidden":
                    await self.send("error", error={"message": "no such instructions"})
                else:
                    await self.send("session.updated", session=message["session"])
            elif message["type"] == "input_audio_buffer.append":
                await self.hear(np.frombuffer(base64.b64decode(message["audio"]), "<i2") / 32768)
            elif message["type"] == "conversation.item.truncate":
                text = f"heard {message['audio_end_ms']} of {message['item_id']}"
                await self.send("response.output_audio_transcript.delta", delta=text)

    async def hear(self, pcm):
        if np.abs(pcm).max() > LOUD:
            if not self.speaking:
                await self.send("input_audio_buffer.speech_started", audio_start_ms=0)
            self.speaking, self.quiet = True, 0
            return
        self.quiet += len(pcm)
        if self.speaking and self.quiet >= self.quiet_limit:
            self.speaking = False
            await self.answer()

    async def answer(self):
        self.replies += 1
        id, item = f"resp_{self.replies}", f"item_{self.replies}"
        heard = {"item_id": "user", "transcript": "a hum"}
        await self.send("input_audio_buffer.speech_stopped", audio_end_ms=0)
        await self.send("conversation.item.input_audio_transcription.completed", **heard)
        await self.send("response.created", response={"id": id})
        named = {"response_id": id, "item_id": item}
        await self.send("response.output_audio_transcript.delta", delta="Hum hum.", **named)
        hum = (voice_hum(0, 72_000) * 32767).astype("<i2")
        for piece in np.split(hum, 10):
            delta = base64.b64encode(piece.tobytes()).decode()
            await self.send("response.output_audio.delta", delta=delta, **named)
        await self.send("response.done", response={"id": id, "status": "completed"})

    async def send(self, type, **data):
        await self.socket.send_json({"type": type, **data})


def realtime_app(quiet_ms):
    app = FastAPI()

    @app.websocket("/v1/realtime")
    async def converse(socket: WebSocket):
        if socket.headers.get("authorization") != "Bearer sesame":
            await socket.close(code=1008)
            return
        await socket.accept()
        try:
            await Realtime(socket, quiet_ms).run()
        except WebSocketDisconnect:
            return

    return app


def main(name, ms):
    advertise_loopback()
    app = {
        "echo": lambda: create_app(lambda rate_hz: DelayLine(round(ms * rate_hz / 1000))),
        "talker": lambda: create_app(lambda rate_hz: Talker(rate_hz, ms)),
        "realtime": lambda: realtime_app(ms),
    }[name]()
    settings = uvicorn.Config(app, "127.0.0.1", 0, loop="uvloop", log_level="error")
    listener = settings.bind_socket()
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
