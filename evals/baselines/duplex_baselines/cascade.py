"""Recogniser -> language model -> voice, turn by turn: the agent that this project must beat.

The parts are what a user would pick for two CPU cores: faster-whisper tiny.en, SmolLM2-135M and
Piper, with Silero's 500 ms of silence or Smart Turn v3.2 as the end of the turn, and the first
200 ms of speech over a reply as its end. It runs on the tick clock: what a part costs in CPU
time (each runs on one thread, so this is the wall time on a free core) delays the sound by as much.
Work on later sentences goes on while the first is heard.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, TICK_MS, USER_RATE_HZ
from duplex_agent.duplex.events import Event, Tick
from duplex_agent.llm.load import load_thinker
from duplex_baselines.listening import Change, Listener
from duplex_baselines.llm import ChatLlm
from duplex_baselines.parts import FasterWhisper, Piper, Recogniser, Synthesiser
from duplex_baselines.playback import Playback
from duplex_baselines.smart_turn import COMPLETE, SmartTurn

Endpoint = Literal["silero500", "smart_turn"]

STOP_MS: Final[dict[Endpoint, int]] = {"silero500": 500, "smart_turn": 200}
GIVE_UP_MS: Final = 3000  # silence after which a turn is over whatever Smart Turn says
PREROLL_TICKS: Final = 12  # sound kept from before speech is noticed, nearly a second
MAX_TURN_TICKS: Final = 750  # a minute; what is older is forgotten


class Cascade:
    """The cascade as an ``Agent``.

    ``timer`` gives seconds of work; every part can be replaced. Raises AssetError when a part
    cannot be had.
    """

    abilities = frozenset({"memory", "instructions"})

    def __init__(
        self,
        endpoint: Endpoint = "silero500",
        recogniser: Recogniser | None = None,
        llm: ChatLlm | None = None,
        voice: Synthesiser | None = None,
        timer: Callable[[], float] = time.process_time,
    ) -> None:
        self.name = f"cascade-{endpoint.replace('_', '-')}"
        self._recogniser = recogniser or FasterWhisper()
        self._llm = llm or ChatLlm(load_thinker())
        self._voice = voice or Piper()
        self._smart_turn = SmartTurn() if endpoint == "smart_turn" else None
        self._listener = Listener(STOP_MS[endpoint])
        self._timer = timer
        self._warm_up()
        self.reset(seed=0)

    def reset(self, seed: int, instructions: str = "") -> None:
        """Begin a new conversation."""
        self._listener.reset()
        self._llm.reset(seed, instructions)
        self._now_ms = 0
        self._backlog_ms = 0.0  # work of the parts that goes on behind the ticks
        self._heard: deque[NDArray[np.float32]] = deque(maxlen=MAX_TURN_TICKS)
        self._in_turn = False
        self._turn_end_ms = 0
        self._user = ""  # words of the turn pair that is open
        self._reply: Playback | None = None
        self._reply_id = 0
        self._told = 0  # sentences and characters of the reply reported so far
        self._said = 0
        self._events: list[Event] = []

    def tick(self, user_pcm: NDArray[np.float32]) -> Tick:
        """80 ms of the user [1280] at 16 kHz; what is heard of the agent right after them."""
        started = self._timer()
        self._now_ms += TICK_MS
        self._events = []
        self._heard.append(user_pcm)
        for change in self._listener.step(user_pcm):
            self._turn_changed(change)
        if self._in_turn and self._listener.silence_ms >= GIVE_UP_MS:
            self._end_turn("silence for 3 s", work_ms=0.0)
        while not self._in_turn and len(self._heard) > PREROLL_TICKS:
            self._heard.popleft()
        audio = np.zeros(AGENT_TICK_SAMPLES, np.float32)
        if self._reply is not None:
            audio = self._reply.audio(self._now_ms)
            self._report(self._reply)
        self._backlog_ms += (self._timer() - started) * 1000
        cost_ms = min(self._backlog_ms, TICK_MS)
        self._backlog_ms -= cost_ms
        self._emit("tick.compute", compute_ms=round(cost_ms, 2))
        return Tick(audio, tuple(self._events))

    def _turn_changed(self, change: Change) -> None:
        if change.started:
            self._emit("user.speech_started", start_ms=change.at_ms)
            self._interrupt()
            self._in_turn = True
            return
        self._emit("user.speech_stopped", end_ms=change.at_ms)
        self._turn_end_ms = change.at_ms
        if self._smart_turn is None:
            self._end_turn("silence for 500 ms", work_ms=0.0)
            return
        started = self._timer()
        probability = self._smart_turn.probability(np.concatenate(self._heard))
        if probability > COMPLETE:
            work_ms = (self._timer() - started) * 1000
            self._end_turn(f"Smart Turn {probability:.2f}", work_ms)

    def _interrupt(self) -> None:
        """The user speaks: stop, and remember what was heard."""
        if self._reply is None:
            return
        heard = self._reply.heard(self._now_ms)
        if heard.strip():
            self._emit("playback.flush", reply_id=self._reply_id)
            self._close("interrupted", heard)
        self._reply = None  # nothing heard: what comes now belongs to the same turn pair

    def _end_turn(self, reason: str, work_ms: float) -> None:
        """Do all the work of the reply now; each sentence is heard when it would be ready."""
        self._in_turn = False
        begun = self._timer()
        words = self._recogniser.transcribe(np.concatenate(self._heard)).strip()
        self._heard.clear()
        self._user = f"{self._user} {words}".strip()
        self._emit("user.turn_ended", text=words, end_ms=self._turn_end_ms, reason=reason)
        if not words:
            return
        reply = Playback()
        for sentence in self._llm.answer(self._user):
            pcm = self._voice.say(sentence)
            cost_ms = work_ms + (self._timer() - begun) * 1000
            reply.add(sentence, pcm, self._now_ms + cost_ms)
        self._reply_id += 1
        self._told = self._said = 0
        self._reply = reply if reply.sentences else None

    def _report(self, reply: Playback) -> None:
        """What the reply brought by the end of this tick's sound."""
        until = self._now_ms + TICK_MS
        for sentence in reply.sentences[self._told :]:
            if sentence.start_ms >= until:
                break
            if self._told == 0:
                response_ms = round(sentence.start_ms - self._turn_end_ms)
                self._emit("reply.started", reply_id=self._reply_id, response_ms=response_ms)
            self._emit("reply.text.delta", reply_id=self._reply_id, text=sentence.text)
            self._told += 1
        heard = reply.heard(until)
        if len(heard) > self._said:
            new = heard[self._said :]
            self._emit("reply.spoken.delta", reply_id=self._reply_id, text=new)
            self._said = len(heard)
        if reply.end_ms <= until:
            self._close("completed", heard)
            self._reply = None

    def _close(self, status: str, heard: str) -> None:
        self._llm.close(self._user, heard.strip())
        self._user = ""
        self._emit("reply.done", reply_id=self._reply_id, status=status, heard_text=heard.strip())

    def _warm_up(self) -> None:
        """The first use of a part loads and compiles things; no conversation should pay for it."""
        self._recogniser.transcribe(np.zeros(USER_RATE_HZ, np.float32))
        self._voice.say("Hello.")
        next(self._llm.answer("Hello."), "")

    def _emit(self, type_: str, **data: Any) -> None:
        self._events.append(Event(type_, self._now_ms, data))
