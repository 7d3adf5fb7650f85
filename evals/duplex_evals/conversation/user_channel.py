"""The user of a test conversation: a timeline that waits for the agent where its items say so.

Whoever runs a scenario drives this one class, offline and over a network: it takes what a live
listener hears of the agent during 80 ms and gives what the microphone picks up in the same 80 ms.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import TICK_MS, USER_RATE_HZ, USER_TICK_SAMPLES
from duplex_evals.audio.activity import AgentActivity
from duplex_evals.audio.filters import filtered, in_room, room_response
from duplex_evals.audio.speech_energy import joined, speech_spans
from duplex_evals.conversation.channel_conditions import ChannelConditions
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.record import Placed
from duplex_evals.conversation.scenario import Item, Scenario

Audio = NDArray[np.float32]
PER_MS: Final = USER_RATE_HZ // 1000


class UserChannel:
    """One conversation's user. ``done`` after the last item and ``tail_s``.

    Everything random follows from the scenario's seed and ``seed``. Raises ClipError.
    """

    def __init__(self, scenario: Scenario, seed: int = 0) -> None:
        self.scenario = scenario
        self.now_ms = 0
        seeds = [scenario.seed, seed]
        self._conditions = ChannelConditions(scenario.conditions, seeds)
        self._room: Audio | None = None
        if scenario.conditions.reverb_s:
            rng = np.random.default_rng([*seeds, 3])
            self._room = room_response(scenario.conditions.reverb_s, rng)
        self._built = {item.name: self._build(item) for item in scenario.items}
        self._waiting = list(scenario.items)
        self._found: dict[str, Placed] = {}
        self._agent = AgentActivity()
        self._speech: Audio = np.zeros(0, np.float32)
        self._place_what_can_be()

    @property
    def placed(self) -> list[Placed]:
        """The items placed or given up so far, in the scenario's order."""
        return [self._found[i.name] for i in self.scenario.items if i.name in self._found]

    @property
    def end_ms(self) -> float | None:
        """When the conversation ends; None while an item still waits for the agent."""
        if self._waiting:
            return None
        ends = [p.end_ms for p in self._found.values() if p.end_ms is not None]
        return min(max(ends, default=0.0) + self.scenario.tail_s * 1000, self.scenario.max_s * 1000)

    @property
    def done(self) -> bool:
        """Whether the conversation is over."""
        end = self.end_ms
        return self.now_ms >= (self.scenario.max_s * 1000 if end is None else end)

    def step(self, agent_pcm: Audio) -> Audio:
        """One tick of both sides.

        ``agent_pcm`` float32 [1920] at 24 kHz: what the listener hears in these 80 ms, that is
        what the agent gave a tick ago. Gives float32 [1280] at 16 kHz.
        """
        self._agent.push(agent_pcm)
        self._place_what_can_be()
        first = self.now_ms * PER_MS
        speech = np.zeros(USER_TICK_SAMPLES, np.float32)
        known = self._speech[first : first + USER_TICK_SAMPLES]
        speech[: len(known)] = known
        self.now_ms += TICK_MS
        return self._conditions.apply(speech, agent_pcm)

    def _build(self, item: Item) -> tuple[Audio, list[tuple[int, int]]]:
        """The item's sound and its stretches of speech, in samples from its beginning."""
        sounds: list[Audio] = []
        spans: list[tuple[int, int]] = []
        length = 0
        for part in item.parts:
            gap = part.gap_ms * PER_MS if sounds else 0
            clip = load_clip(part.clip, self.scenario.conditions.speed)
            sounds += [np.zeros(gap, np.float32), clip]
            spans += [(length + gap + a, length + gap + b) for a, b in speech_spans(clip)]
            length += gap + len(clip)
        spans = joined(spans)
        audio = filtered(item.filter, np.concatenate(sounds))
        return (audio if self._room is None else in_room(audio, self._room)), spans

    def _place_what_can_be(self) -> None:
        """Place, in order, every item whose anchor is known; give up those whose time ran out."""
        for item in list(self._waiting):
            start = self._start_of(item)
            if start is None:
                continue
            self._waiting.remove(item)
            self._found[item.name] = self._place(item, start)

    def _start_of(self, item: Item) -> float | None:
        """Where the item begins in ms; None: not known yet; infinity: never."""
        anchor = item.anchor
        if anchor.to == "start":
            return float(anchor.delay_ms)
        before = self._found.get(anchor.item)
        if before is None:
            return None
        if before.end_ms is None:
            return float("inf")
        if anchor.to == "item_end":
            return before.end_ms + anchor.delay_ms
        find = self._agent.onset_after if anchor.to == "agent_onset" else self._agent.end_after
        moment = find(before.end_ms)
        if moment is not None and moment <= before.end_ms + anchor.timeout_ms:
            return max(moment + anchor.delay_ms, float(self.now_ms))
        return float("inf") if self.now_ms > before.end_ms + anchor.timeout_ms else None

    def _place(self, item: Item, start_ms: float) -> Placed:
        if start_ms == float("inf") or start_ms >= self.scenario.max_s * 1000:
            return Placed(item.name, item.kind, item.expect, item.text, [])
        audio, spans = self._built[item.name]
        at = round(start_ms * PER_MS)
        missing = at + len(audio) - len(self._speech)
        if missing > 0:
            self._speech = np.pad(self._speech, (0, missing))
        self._speech[at : at + len(audio)] += audio
        spans_ms = [((at + a) / PER_MS, (at + b) / PER_MS) for a, b in spans]
        return Placed(item.name, item.kind, item.expect, item.text, spans_ms)
