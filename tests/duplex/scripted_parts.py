"""Small stand-ins for thinker and voice whose every step can be read off, and talks with them.

The thinker is a language model with a context that can be printed; it answers from what stands in
its context. What the user says and how it is heard is in `scripted_user`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scripted_user import LevelVad, NumberEar, Sound, say

from duplex_agent.clock import AGENT_TICK_SAMPLES
from duplex_agent.duplex.config import SessionConfig
from duplex_agent.duplex.events import Event
from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.requests import Request
from duplex_agent.duplex.session import OpenLlm
from duplex_agent.ear.hearing import Ear
from duplex_agent.engine.conversation import Conversation as RealConversation
from duplex_agent.engine.executor import CpuExecutor
from duplex_agent.errors import ContextFull
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.llm.text_tokenizer import TextSettings
from duplex_agent.llm.thinker import ThinkerState, ThinkerStep

TICKS_PER_WORD = 2  # of the voice
SPECIAL = ["<|im_start|>", "<|im_end|>"]
SYSTEM = "<|im_start|>system\nBe kind.<|im_end|>\n"


def user(text: str) -> str:
    """A turn of the user as it stands in the context."""
    return f"<|im_start|>user\n{text}<|im_end|>\n"


def agent(text: str) -> str:
    """A turn of the agent as it stands in the context."""
    return f"<|im_start|>assistant\n{text}<|im_end|>\n"


QUESTION = say("tell", "", "me", "", "more", rest=7)  # 400 ms of speech, the end of turn
ANSWER = "You said tell me more and that is turn 1 of ours."


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
        self.answer = "You said {} and that is turn {} of ours."
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
        answer = self.answer.format(last, len(turns))
        rest = self.tokenizer.encode(answer)[len(self.tokenizer.encode(said)) :]
        return rest[0] if rest else 1


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
        self.seeds: list[int] = []

    def start(self, seed: int = 0) -> "WordStream":
        self.seeds.append(seed)
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


class NotingExecutor(CpuExecutor):
    """Notes what it is asked."""

    def __init__(self, parts: FlowOmni | EarAndVoice) -> None:
        super().__init__(parts, live=False)
        self.asked: list[Request] = []

    def execute(self, requests: Sequence[Request]) -> list[Any]:
        self.asked += requests
        return super().execute(requests)


class Conversation:
    """A session on the stand-ins, and everything that came out of it."""

    def __init__(
        self,
        max_length: int = 400,
        late: int = 0,
        really: dict[str, str] | None = None,
        open_llm: OpenLlm | None = None,
        ear: Callable[[EchoThinker], Ear] | None = None,
        **config: object,
    ) -> None:
        self.thinker = EchoThinker(max_length)
        self.ear = ear(self.thinker) if ear else NumberEar(self.thinker, late, really)
        self.voice = WordVoice(thought=open_llm is None)
        self.parts: FlowOmni | EarAndVoice = FlowOmni(self.ear, self.thinker, self.voice)
        if open_llm is not None:
            self.parts = EarAndVoice(self.ear, self.voice)
        self.executor = NotingExecutor(self.parts)
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
            executor=self.executor,
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


def laid_out(talk: Conversation) -> str:
    """What the conversation says it remembers, as it should stand in the context."""
    text = ""
    for turn in talk.session.pairs:
        spoken = turn.text_of is None
        text += user(turn.user) if turn.user or spoken else ""
        text += agent(turn.agent) if turn.agent or spoken else ""
    return text
