"""What the thinker is given of speech, compared: words as spelled, or the neural adapter's tokens.

duplex-evals speech-tokens [--limit N]

The first N spoken questions in their held-out voices, clean: how many tokens, how often they are
the wrong ones, how far the thinker's distributions then are from those after the written text, and
how many of its answers are right.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

import jiwer
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import USER_RATE_HZ
from duplex_agent.ear.adapter.config import BLANK, Rate
from duplex_agent.ear.adapter.stream import AdapterStream, AdapterStreamState
from duplex_agent.ear.adapter.tick_adapter import TickAdapter
from duplex_agent.ear.adapter.weights import load_adapter
from duplex_agent.ear.load import ADAPTER, load_ear
from duplex_agent.ear.prepared import prepared_adapter
from duplex_agent.llm.chat import EXAMPLES, chat_format
from duplex_agent.llm.language_model import LanguageModel, find_language_model
from duplex_agent.llm.load import DEFAULT_MODEL, load_thinker
from duplex_agent.llm.prepared import prepared_text
from duplex_agent.llm.settings import LlmSettings
from duplex_agent.terminal import Console
from duplex_agent.train.llm.batched import GenerationSettings, continuations
from duplex_agent.train.llm.frozen_thinker import FrozenThinker
from duplex_evals.content.spoken_qa import questions, voice_of
from duplex_evals.conversation.clips import load_clip
from duplex_evals.conversation.scenario import Clip
from duplex_evals.understanding.asking import Asker
from duplex_evals.understanding.listening import hear
from duplex_evals.understanding.report import Table, for_terminal

_LONGEST_REPLY: Final = 16
_WORDS: Final = "words"
_RATES: Final[dict[str, Rate]] = {"12.5 Hz": 1, "6.25 Hz": 2}
_LEFT_OUT: Final = {"blanks from 0.5 left out": 0.5, "from 0.9": 0.9, "none left out": 1.1}
_KINDS: Final[dict[str, tuple[Rate, float]]] = {
    f"{rate}, {left_out}": (_RATES[rate], above)
    for rate in _RATES
    for left_out, above in _LEFT_OUT.items()
}
"""Ticks per token, and the probability of blank from which on a token is left out."""


@dataclass
class _Found:
    """Sums over the questions for one kind of tokens. ``said``, ``wanted``: ids per question, the
    adapter's greedy ones and the written ones; ``kl``: one mean per reply; ``right`` answers.
    """

    tokens: int = 0
    right: int = 0
    said: list[list[int]] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    compute_ms: list[float] = field(default_factory=list)


class _EveryKind(AdapterStream):
    """An adapter in its ear that keeps what all kinds of tokens would be, one clip at a time."""

    def __init__(self, adapter: TickAdapter, ids: NDArray[np.integer]) -> None:
        """``ids``: those that the adapter knows."""
        super().__init__(adapter, 1)
        self._ids = ids
        self._streams = {name: AdapterStream(adapter, *kind) for name, kind in _KINDS.items()}
        self.begin()

    def begin(self) -> None:
        """Forget the last clip."""
        self._states = {name: stream.new_state() for name, stream in self._streams.items()}
        self.given: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _KINDS}
        self.compute_ms: dict[str, list[float]] = {name: [] for name in _KINDS}
        self.ticks: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def hear(
        self,
        state: AdapterStreamState,
        features: NDArray[np.float32],
        characters: NDArray[np.float32],
    ) -> None:
        super().hear(state, features, characters)
        self.ticks.append((features, characters))
        for name, stream in self._streams.items():
            began = time.process_time()
            stream.hear(self._states[name], features, characters)
            self.compute_ms[name].append(1000 * (time.process_time() - began))

    def take(self, state: AdapterStreamState, first: int, last: int) -> NDArray[np.float32]:
        for name, stream in self._streams.items():
            self.given[name].append(stream.take(self._states[name], first, last))
        return super().take(state, first, last)

    def revise(self, state: AdapterStreamState, words: int) -> None:
        super().revise(state, words)
        for name, stream in self._streams.items():
            stream.revise(self._states[name], words)
            del self.given[name][len(self.given[name]) - words :]

    def greedy(self, rate: Rate) -> list[int]:
        """The thinker's ids that the adapter reads in the clip."""
        state = self.adapter.new_state()
        tokens = [self.adapter.step(state, *tick, rate) for tick in self.ticks]
        best = [int(token.log_probs.argmax()) for token in tokens if token is not None]
        pairs = zip(best, [BLANK, *best], strict=False)
        return [int(self._ids[i - 1]) for i, before in pairs if i not in (BLANK, before)]


def main(
    limit: Annotated[int, typer.Option(help="How many questions.", min=1)] = 40,
) -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    asked = list(questions().values())[:limit]
    language = find_language_model(DEFAULT_MODEL)
    text = prepared_text(language)
    ids = load_adapter(text.embedding, language.fingerprint, ADAPTER).ids
    every = _EveryKind(prepared_adapter(ADAPTER, text.embedding, language.fingerprint), ids)
    plain = load_ear()
    fan = plain.with_adapter(every)
    thinker = _Thinker(language)
    # As the adapter was aligned: the bare language model behind the example turn pairs.
    asker = Asker(load_thinker(), LlmSettings(examples=EXAMPLES))
    found = {name: _Found() for name in (_WORDS, *_KINDS)}
    seconds, wanted, right_in_writing = 0.0, [], 0
    for number, question in enumerate(track(asked, "tokens", console=Console(stderr=True))):
        speech = load_clip(Clip(text=question.ask, voice=voice_of(number)))
        seconds += len(speech) / USER_RATE_HZ
        wanted.append(thinker.ids(question.ask.split()))
        words = hear(plain, speech).words
        every.begin()
        hear(fan, speech)
        told = {_WORDS: [word.embeddings for word in words], **every.given}
        right_in_writing += question.right(asker.reply_to_text(question.ask))
        found[_WORDS].said.append(thinker.ids([word.text.strip() for word in words]))
        for name, (rate, _) in _KINDS.items():
            found[name].said.append(every.greedy(rate))
            found[name].compute_ms += every.compute_ms[name]
        rows_of = [np.concatenate(rows) if rows else None for rows in told.values()]
        apart = thinker.apart(question.ask, rows_of)
        for (name, rows), kl in zip(told.items(), apart, strict=True):
            found[name].tokens += sum(map(len, rows))
            found[name].kl.append(kl)
            heard = [replace(w, embeddings=e) for w, e in zip(words, rows, strict=True)]
            found[name].right += question.right(asker.reply(heard))
    table = _table(found, wanted, seconds, right_in_writing)
    Console().print(for_terminal(table))


class _Thinker:
    """What the language model expects of its reply to a written question, and to a heard one."""

    def __init__(self, language: LanguageModel) -> None:
        self._tokenizer = prepared_text(language).tokenizer
        self._chat = chat_format(self._tokenizer, examples=EXAMPLES)
        self._model = language.transformers_model
        self._frozen = FrozenThinker(self._model, self._chat)

    def ids(self, words: Sequence[str]) -> list[int]:
        """Ids of ``words``, each with the space before it, as an ear embeds them."""
        return [i for word in words for i in self._tokenizer.encode(f" {word}")]

    @torch.inference_mode()
    def apart(self, question: str, told: Sequence[NDArray[np.float32] | None]) -> list[float]:
        """KL in nats per token of the greedy reply to the written ``question``, for each way of
        telling it [n, width]; None is an empty turn.
        """
        ids = self._tokenizer.encode(question)
        turn = [*self._chat.user_begin, *ids, *self._chat.user_end]
        settings = GenerationSettings(self._chat.stop_ids, _LONGEST_REPLY)
        reply = continuations(self._model, self._chat.system, [turn], settings, torch.Generator())[
            0
        ]
        written = self._frozen.embed(ids)
        heard = [written.new_zeros(0, written.shape[1]) if t is None else torch.from_numpy(t)
                 for t in told]  # fmt: skip
        logits = self._frozen.expects([written, *heard], [reply] * (1 + len(told)))
        base, *others = (each.float().log_softmax(-1) for each in logits)
        return [float((base.exp() * (base - other)).sum(-1).mean()) for other in others]


def _table(
    found: dict[str, _Found], wanted: list[list[int]], seconds: float, right_in_writing: int
) -> Table:
    """``seconds`` of speech in which the ids ``wanted`` were said."""
    want = [" ".join(map(str, ids)) for ids in wanted]
    lines = []
    for name, one in found.items():
        said = [" ".join(map(str, ids)) for ids in one.said]
        compute = f"{np.mean(one.compute_ms):.2f}" if one.compute_ms else "0"
        lines.append([
            name, f"{one.tokens / seconds:.2f}", compute, f"{100 * jiwer.wer(want, said):.1f} %",
            f"{np.mean(one.kl):.3f}", f"{one.right} of {len(want)}",
        ])  # fmt: skip
    columns = ["tokens", "per second of speech", "adapter, CPU ms per tick", "token errors",
               "KL to the written question, nats per token", "right answers"]  # fmt: skip
    note = (
        f"{len(want)} questions, {seconds:.0f} s of speech; errors and KL: lower is better."
        f" Right answers to the written questions: {right_in_writing}."
    )
    return Table("What the thinker is told", columns, lines, note)
