"""What the whole user channel goes through, tick by tick: echo, noise, telephone, lost packets."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from duplex_agent.clock import (
    AGENT_RATE_HZ,
    AGENT_TICK_SAMPLES,
    USER_RATE_HZ,
    USER_TICK_SAMPLES,
)
from duplex_evals.audio.filters import mu_law, telephone_band
from duplex_evals.conversation.clips import load_bed
from duplex_evals.conversation.scenario import Conditions, Echo

Audio = NDArray[np.float32]

PACKET: Final = USER_RATE_HZ // 50  # 20 ms
BED_S: Final = 30.0  # of noise before it repeats
FADE_PER_PACKET: Final = 0.5  # of a concealed packet that follows another lost one


class ChannelConditions:
    """The conditions of one conversation; random but for ``seed``. Raises ClipError."""

    def __init__(self, conditions: Conditions, seed: list[int]) -> None:
        self._conditions = conditions
        self._losses = np.random.default_rng([*seed, 1])
        self._bed: Audio | None = None
        self._bed_at = 0
        if conditions.snr_db is not None:
            rng = np.random.default_rng([*seed, 2])
            bed = load_bed(conditions.noise, int(BED_S * USER_RATE_HZ), rng)
            self._bed = bed * np.float32(10 ** (-conditions.snr_db / 20))
        self._echo = None if conditions.echo is None else EchoPath(conditions.echo)
        self._band = telephone_band()
        self._band_state = np.zeros((len(self._band), 2))
        self._last_packet: Audio = np.zeros(PACKET, np.float32)

    def apply(self, speech: Audio, agent: Audio) -> Audio:
        """One tick: ``speech`` [1280] at 16 kHz and what the listener hears of the agent, [1920].

        The result is what arrives at the agent, float32 [1280] in -1..1.
        """
        audio = speech
        if self._echo is not None:
            audio = audio + self._echo.step(agent)
        if self._bed is not None:
            index = (self._bed_at + np.arange(USER_TICK_SAMPLES)) % len(self._bed)
            self._bed_at += USER_TICK_SAMPLES
            audio = audio + self._bed[index]
        if self._conditions.telephone:
            narrow, self._band_state = signal.sosfilt(self._band, audio, zi=self._band_state)
            audio = mu_law(np.asarray(narrow, np.float32))
        if self._conditions.loss:
            audio = self._lossy(audio)
        return np.asarray(np.clip(audio, -1, 1), np.float32)

    def _lossy(self, audio: Audio) -> Audio:
        packets = audio.reshape(-1, PACKET).copy()
        for number, lost in enumerate(self._losses.random(len(packets)) < self._conditions.loss):
            if lost and self._conditions.concealment == "zero":
                packets[number] = 0
            elif lost:
                packets[number] = self._last_packet * FADE_PER_PACKET
            self._last_packet = packets[number]
        return packets.reshape(-1)


class EchoPath:
    """The agent's sound on its way from the speaker back into the microphone.

    Its resampling filter takes a millisecond; that is part of the delay, so an echo cannot come
    sooner.
    """

    TAPS: Final = 97  # at 48 kHz

    def __init__(self, echo: Echo) -> None:
        self._gain = 10 ** (echo.gain_db / 20)
        self._filter = signal.firwin(self.TAPS, 7_200, fs=2 * AGENT_RATE_HZ)
        # The filter's own delay, 48 samples at 48 kHz, is 16 samples at 16 kHz.
        own = (self.TAPS - 1) // 2 // 3
        self._line: Audio = np.zeros(max(echo.delay_ms * USER_RATE_HZ // 1000 - own, 0), np.float32)
        self._before: Audio = np.zeros(self.TAPS, np.float32)  # the filter's memory, at 24 kHz

    def step(self, agent: Audio) -> Audio:
        """The echo [1280] at 16 kHz that is heard while ``agent`` [1920] at 24 kHz sounds."""
        context = np.concatenate([self._before, agent])
        self._before = context[-self.TAPS :]
        at_16k = 2 * signal.upfirdn(self._filter, context, up=2, down=1)
        first = 2 * self.TAPS
        fresh = at_16k[first : first + 2 * AGENT_TICK_SAMPLES : 3] * self._gain
        line = np.concatenate([self._line, fresh.astype(np.float32)])
        self._line = line[USER_TICK_SAMPLES:]
        return line[:USER_TICK_SAMPLES]
