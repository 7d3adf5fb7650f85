"""Small stand-ins for ear, thinker, voice and detector whose every step can be read off.

A test's user speaks ticks of plain samples: level 0 is silence, and the first sample of a sounding
tick numbers the word that the ear will understand in it (0: none). The thinker is a language
model with a context that can be printed; it answers from what stands in its context.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from duplex_agent.clock import AGENT_TICK_SAMPLES, USER_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Event
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.session import OpenLlm
from duplex_agent.ear.hearing import HeardWord, Hearing
from duplex_agent.engine.conversation import Conversation as RealConversation
from duplex_agent.errors import ContextFull
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.text_tokenizer import TextSettings
from duplex_agent.llm.thinker import ThinkerState, ThinkerStep

Sound = NDArray[np.float32]
WORDS = ["", " tell", " me", " more", " please", " stop", " wait", " why"]
LEVEL = 0.1
STEP = 1 / 64  # first sample of a tick = word number * STEP: exact in float32
TICKS_PER_WORD = 2  # of the voice
SPECIAL = ["<|im_start|>", "<|im_end|>"]


def say(*words: str, rest: int = 0) -> list[Sound]:
    """A tick for each word ("" for a sound that is no word), then ``rest`` silent ticks."""
    ticks = []
    for word in words:
        tick = np.full(USER_TICK_SAMPLES, LEVEL, dtype=np.float32)
        tick[0] = WORDS.index(f" {word}" if word else "") * STEP
        ticks.append(tick)
    return ticks + [np.zeros(USER_TICK_SAMPLES, dtype=np.float32)] * rest


class LevelVad:
    """Speech is what is not silent."""

    def step(self, pcm: Sound) -> float:
        return 0.95 if pcm[-1] > LEVEL / 2 else 0.02

    def reset(self) -> None: ...

    def clone(self) -> "LevelVad":
        return self


class WordTokenizer:
    """Words with their leading space, single marks, and the chat's special tokens."""

    settings = TextSettings(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n'"
        " + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        *SPECIAL,
        special_ids=(0, 1),
    )

    def __init__(self) -> None:
        self.known = list(SPECIAL)

    def encode(self, text: str) -> list[int]:
        found = re.findall(r"<\|im_\w+\|>| ?\w+|\s|[^\w\s]", text)
        self.known += [word for word in dict.fromkeys(found) if word not in self.known]
        return [self.known.index(word) for word in found]

    encode_markup = encode

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.known[i] for i in ids)

    @property
    def tokens(self) -> list[str]:
        return list(self.known)


@dataclass
class ListState(ThinkerState):
    ids: list[int] = field(default_factory=list)


class EchoThinker:
    """Answers "You said X and that is turn N of ours." from what its context holds."""

    width = 16

    def __init__(self, max_length: int = 400) -> None:
        self.max_length = max_length
        self.tokenizer = WordTokenizer()
        self._table = np.random.default_rng(0).standard_normal((512, 16)).astype(np.float32)

    def new_state(self) -> ListState:
        return ListState(0)

    def copy(self, state: ThinkerState) -> ListState:
        assert isinstance(state, ListState)
        return ListState(state.length, list(state.ids))

    def embed(self, ids: Sequence[int]) -> Sound:
        return self._table[list(ids)]

    def append(self, state: ThinkerState, embeddings: Sound) -> ThinkerStep:
        assert isinstance(state, ListState)
        if state.length + len(embeddings) > self.max_length:
            raise ContextFull("full")
        distance = ((embeddings[:, None] - self._table[None]) ** 2).sum(axis=2)
        state.ids += distance.argmin(axis=1).tolist()
        state.length = len(state.ids)
        logits = np.zeros(512, dtype=np.float32)
        logits[self._next(self.text(state))] = 10.0  # sure of it, said before or not
        return ThinkerStep(logits, embeddings.copy())

    def truncate(self, state: ThinkerState, length: int) -> None:
        assert isinstance(state, ListState)
        assert 0 <= length <= state.length
        del state.ids[length:]
        state.length = length

    def splice(
        self, state: ThinkerState, start: int, end: int, filling: ThinkerState | None = None
    ) -> None:
        assert isinstance(state, ListState)
        assert filling is None or isinstance(filling, ListState)
        assert 0 <= start <= end <= state.length
        state.ids[start:end] = filling.ids if filling else []
        state.length = len(state.ids)
        assert state.length <= self.max_length

    def text(self, state: ThinkerState) -> str:
        assert isinstance(state, ListState)
        return self.tokenizer.decode(state.ids)

    def _next(self, context: str) -> int:
        before, mark, said = context.rpartition("<|im_start|>assistant\n")
        if not mark or "<|im_end|>" in said:
            return 1
        turns = re.findall(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", before)
        last = turns[-1].strip() if turns else "nothing"
        answer = f"You said {last} and that is turn {len(turns)} of ours."
        rest = self.tokenizer.encode(answer)[len(self.tokenizer.encode(said)) :]
        return rest[0] if rest else 1


class NumberEar:
    """Reads the word's number in a tick's first sample, four ticks later (or ``late`` more).

    ``really``: the words that it revises a tick later, and what they were.
    """

    def __init__(
        self, thinker: EchoThinker, late: int = 0, really: dict[str, str] | None = None
    ) -> None:
        self._thinker = thinker
        self.look_ahead_ticks = 4
        self._late = late
        self._really = really or {}
        self.committed = 0

    def new_state(self) -> list[int]:
        """Numbers of the ticks so far."""
        return []

    def step(self, state: list[int], pcm: Sound) -> Hearing:
        state.append(round(float(pcm[0]) / STEP))
        tick = len(state) - 1 - self.look_ahead_ticks - self._late
        settled = not any(state[max(tick + 1, 0) :])
        word = WORDS[state[tick]] if tick >= 0 else ""
        before = WORDS[state[tick - 1]] if tick >= 1 else ""
        if before in self._really:
            return Hearing(self._heard(self._really[before], tick - 1), settled, revised=1)
        return Hearing(self._heard(word, tick) if word else (), settled)

    def _heard(self, word: str, tick: int) -> tuple[HeardWord, ...]:
        rows = self._thinker.embed(self._thinker.tokenizer.encode(word))
        return (HeardWord(rows, word, tick, tick),)

    def finalize(self, state: list[int]) -> None:
        self.committed += 1


@dataclass(frozen=True)
class SpokenWordTick:
    pcm: Sound
    chars_spoken: int
    done: bool


class WordVoice:
    """Two ticks of sound for each written word; rests while it waits for text.

    ``thought``: whether a thinker's state comes with the text.
    """

    def __init__(self, thought: bool = True) -> None:
        self._thought = thought

    def start(self, seed: int = 0) -> "WordStream":
        return WordStream(self._thought)


class WordStream:
    """Whatever holds a snowman cannot be said."""

    def __init__(self, thought: bool) -> None:
        self._thought = thought
        self._text = ""
        self._finished = False
        self._stopped = False
        self._ticks = 0

    def write(self, text: str, hidden: Sound | None = None) -> None:
        assert (hidden is not None) == self._thought
        assert hidden is None or hidden.shape[1] == 16
        self._text += text

    @property
    def left_out(self) -> list[str]:
        return re.findall(r"\S*☃\S*(?=\s)", self._text)

    def finish(self) -> None:
        self._finished = True

    def stop(self) -> None:
        self._stopped = True

    def tick(self) -> SpokenWordTick:
        ends = [match.end() for match in re.finditer(r"[^\s☃]+(?=\s)", self._text)]
        if self._finished and self._text[-1:].strip():
            ends.append(len(self._text))
        pcm = np.zeros(AGENT_TICK_SAMPLES, dtype=np.float32)
        if self._ticks < TICKS_PER_WORD * len(ends):
            self._ticks += 1
            pcm[: 240 if self._stopped else AGENT_TICK_SAMPLES] = 0.5
        words = self._ticks // TICKS_PER_WORD
        chars = ends[words - 1] if words else 0
        done = self._stopped or (self._finished and self._ticks >= TICKS_PER_WORD * len(ends))
        return SpokenWordTick(pcm, chars, done)


class Conversation:
    """A session on the stand-ins, and everything that came out of it."""

    def __init__(
        self,
        max_length: int = 400,
        late: int = 0,
        really: dict[str, str] | None = None,
        open_llm: OpenLlm | None = None,
        **config: object,
    ) -> None:
        self.thinker = EchoThinker(max_length)
        ear = NumberEar(self.thinker, late, really)
        self.parts: FlowOmni | EarAndVoice = FlowOmni(ear, self.thinker, WordVoice())
        if open_llm is not None:
            self.parts = EarAndVoice(ear, WordVoice(thought=False))
        settings: dict[str, object] = {"system_prompt": "Be kind.", "examples": ()}
        settings |= {"turn_positions": 90, "reply_positions": 40, "fresh_replies": 0}
        names = {field.name for field in fields(LlmSettings)}
        llm = settings | {name: config.pop(name) for name in names & config.keys()}
        self.call = RealConversation(
            self.parts,
            SessionConfig(llm=LlmSettings(**llm), **config),
            vad=LevelVad(),
            timer=lambda: 0.0,
            open_llm=open_llm,
        )
        self.session = self.call.session
        self.sound: list[Sound] = []
        self.events: list[Event] = []

    def hear(self, ticks: list[Sound], **extra: int) -> list[Event]:
        """Play ticks; the answer is their events without the compute times."""
        fresh: list[Event] = []
        for pcm in ticks:
            tick = self.call.tick(pcm, **extra)
            self.sound.append(tick.agent_pcm)
            fresh += [event for event in tick.events if event.type != "tick.compute"]
        self.events += fresh
        return fresh

    def context(self) -> str:
        """What stands in the thinker's cache."""
        return self.thinker.text(self.session._record.cache.state)

    def of_type(self, type_: str) -> list[dict[str, object]]:
        return [event.data for event in self.events if event.type == type_]
