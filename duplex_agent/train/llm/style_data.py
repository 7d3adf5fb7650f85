"""What the spoken style is learnt from: the model's own replies, made once and kept in a file.

Spoken rows: the model reads a prompt with the example turn pairs before it and answers; what is
good to hear is kept, with the distribution behind every token. The learner will see the same
prompt without the examples, and in half of the rows as an ear gives it. Anchor rows: what the
model writes without any of this, so that it can be held to that.
"""

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.errors import TrainingError
from duplex_agent.llm.chat import EXAMPLES, ChatFormat, chat_format
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.data.text import clean, held_out, normalise, training_sentences
from duplex_agent.train.data.user_text import everyday
from duplex_agent.train.llm.batched import (
    GenerationSettings,
    Likeliest,
    continuations,
    read_replies,
)
from duplex_agent.train.llm.spoken_style import SpokenReply, as_spoken

TOP: Final = 32  # likeliest ids kept of a distribution; the rest is one bucket
_BATCH: Final = 64
_SAME_REPLIES: Final = 2
_NOT_SPOKEN: Final = frozenset("0123456789*#`|<>{}[]_~\\\n%$€£&+=°@/")
_PLAIN_PROMPTS: Final = ("", "You are a helpful assistant.")

TurnPair = tuple[str, str]
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class StyleSizes:
    """How much is generated: prompts of each kind, and tokens."""

    everyday: int = 700
    chat: int = 350
    own_questions: int = 450
    anchors: int = 400
    longest_reply: int = 48
    with_history: float = 0.3  # share of prompts that come after one or two turn pairs
    accept: Callable[[str], SpokenReply | None] = field(default=as_spoken)


@dataclass(frozen=True)
class StyleRow:
    """One thing to learn: after ``context``, ``reply`` with probabilities of the likeliest ids."""

    spoken: bool
    context: NDArray[np.int32]
    reply: NDArray[np.int32]
    ids: NDArray[np.int32]  # [reply, TOP]
    probabilities: NDArray[np.float32]  # [reply, TOP]


def prepare_rows(
    work: Path, model: Callable[[], Any], tokenizer: TextTokenizer, sizes: StyleSizes, seed: int
) -> list[StyleRow]:
    """The rows in ``work``, generated with ``model()`` if they are not there yet.

    The replies stand in ``style-replies.jsonl``, may be read and weeded there, and are not written
    again while the file exists. Raises TrainingError if none is usable.
    """
    file = work / "style-rows.npz"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        maker = _Maker(model(), tokenizer, sizes, seed)
        generated = work / "style-replies.jsonl"
        if not generated.exists():
            _write_replies(generated, _varied(maker.spoken()))
        kept = list(_read_replies(generated))
        _store(file, [*maker.spoken_rows(kept), *maker.anchor_rows()])
    rows = list(_stored(file))
    if not any(row.spoken for row in rows):
        raise TrainingError(f"no reply of the language model is fit to be spoken ({file})")
    return rows


@dataclass(frozen=True)
class _Prompt:
    text: str
    history: tuple[TurnPair, ...] = ()


_Spoken = tuple[_Prompt, SpokenReply]


def _write_replies(file: Path, kept: Iterable[_Spoken]) -> None:
    lines = [
        {"history": p.history, "prompt": p.text, "reply": r.text, "verbatim": r.verbatim}
        for p, r in kept
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _read_replies(file: Path) -> Iterator[_Spoken]:
    """Raises TrainingError for a line that is no reply."""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            history = tuple((user, agent) for user, agent in row["history"])
            reply = SpokenReply(row["reply"], row["verbatim"])
            yield _Prompt(row["prompt"], history), reply
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{file}, line {number}: not a reply ({error})") from error


def _varied(kept: Iterable[_Spoken]) -> Iterator[_Spoken]:
    """Without what was already said twice: a small model has sentences that fit everything."""
    said: Counter[str] = Counter()
    for prompt, reply in kept:
        said[normalise(reply.text)] += 1
        if said[normalise(reply.text)] <= _SAME_REPLIES:
            yield prompt, reply


class _Maker:
    def __init__(self, model: Any, tokenizer: TextTokenizer, sizes: StyleSizes, seed: int) -> None:
        self.model, self.tokenizer, self.sizes = model, tokenizer, sizes
        # Generation takes a pass per token, so it runs in half precision; probabilities are exact.
        self.fast_model = copy.deepcopy(model).bfloat16()
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.teacher = chat_format(tokenizer)
        self.learner = chat_format(tokenizer, examples=())
        self.stop = stop_id(self.teacher)
        sentences = training_sentences(seed)
        self.chat_prompts = [s for s in sentences if 3 <= len(s.split()) <= 16]

    def spoken(self) -> Iterator[tuple[_Prompt, SpokenReply]]:
        """Every prompt with a reply that is good to hear."""
        prompts = self._prompts()
        alone = int(len(prompts) * (1 - self.sizes.with_history))
        kept = list(self._answered([_Prompt(p) for p in prompts[:alone]], "replies"))
        yield from kept
        said = [(prompt.text, reply.text) for prompt, reply in kept]
        if said:
            later = [
                _Prompt(p, tuple(self.random.choices(said, k=self.random.randint(1, 2))))
                for p in prompts[alone:]
            ]
            yield from self._answered(later, "replies in conversations")

    def _prompts(self) -> list[str]:
        """Distinct prompts in random order, without those of the evaluation."""
        made = [everyday(self.random) for _ in range(self.sizes.everyday)]
        made += self.chat_prompts[: self.sizes.chat]
        made += self._own_questions()
        forbidden = held_out()
        distinct = {normalise(p): p for p in made if normalise(p) not in forbidden}
        prompts = [p for key, p in distinct.items() if key]
        self.random.shuffle(prompts)
        return prompts

    def _own_questions(self) -> Iterator[str]:
        """What the model itself writes where the user's words should stand."""
        settings = GenerationSettings(
            frozenset(self.tokenizer.settings.special_ids), 24, temperature=1.0
        )
        begin = [list(self.teacher.user_begin)]
        for count in _batches(self.sizes.own_questions, "own questions"):
            for ids in self._generate(self.teacher.system, begin * count, settings):
                question = clean(self.tokenizer.decode(ids[:-1]).strip().partition("\n")[0])
                if question and ids[-1] in settings.stop_ids and len(question.split()) > 2:
                    yield question

    def _answered(self, prompts: list[_Prompt], note: str) -> Iterator[tuple[_Prompt, SpokenReply]]:
        settings = GenerationSettings(
            self.teacher.stop_ids, self.sizes.longest_reply, repetition_penalty=1.1
        )
        examples = {normalise(reply) for _, reply in EXAMPLES}
        for batch in _chunks(prompts, note):
            rows = [self._turns(self.teacher, p, heard=False) for p in batch]
            replies = self._generate(self.teacher.system, rows, settings)
            for prompt, ids in zip(batch, replies, strict=True):
                words = ids[:-1] if ids[-1] in settings.stop_ids else ids
                reply = self.sizes.accept(self.tokenizer.decode(words))
                if reply and normalise(reply.text) not in examples:
                    yield prompt, reply

    def spoken_rows(self, kept: list[tuple[_Prompt, SpokenReply]]) -> Iterator[StyleRow]:
        """For the learner: a prompt as written and as heard, with the teacher's probabilities."""
        subwords = enumerate(self.tokenizer.tokens)
        banned = [i for i, text in subwords if _NOT_SPOKEN & set(text) and i != self.stop]
        for batch in _chunks(kept, "distributions"):
            rows = [self._turns(self.teacher, prompt, heard=False) for prompt, _ in batch]
            replies = [[*self.tokenizer.encode(reply.text), self.stop] for _, reply in batch]
            read = read_replies(self.model, self.teacher.system, rows, replies, TOP, banned)
            for (prompt, reply), ids, likeliest in zip(batch, replies, read, strict=True):
                probabilities, tops = _probabilities(likeliest)
                # What was rewritten or cut off is not what the teacher would have said.
                sure = [len(ids) - 1] if reply.verbatim else range(len(ids))
                for position in sure:
                    tops[position, 0] = ids[position]
                    probabilities[position] = np.eye(1, tops.shape[1])
                for heard in (False, True):
                    context = [*self.learner.system, *self._turns(self.learner, prompt, heard)]
                    yield StyleRow(True, _ints(context), _ints(ids), tops, probabilities)

    def anchor_rows(self) -> Iterator[StyleRow]:
        """The model as it is: replies to ordinary instructions, and plain text written on."""
        settings = GenerationSettings(
            frozenset(self.tokenizer.settings.special_ids),
            self.sizes.longest_reply,
            temperature=1.0,
        )
        plain = [chat_format(self.tokenizer, p, examples=()) for p in _PLAIN_PROMPTS]
        sentences = self.chat_prompts[self.sizes.chat :]
        contexts: list[list[int]] = []
        for number in range(self.sizes.anchors):
            if number % 2:
                words = sentences[number % len(sentences)].split()
                contexts.append(self.tokenizer.encode(" ".join(words[:4])))
                continue
            chat = plain[number // 2 % len(plain)]
            turn = self._turns(chat, _Prompt(everyday(self.random)), heard=False)
            contexts.append([*chat.system, *turn])
        for batch in _chunks(contexts, "anchors"):
            replies = self._generate((), batch, settings)
            read = read_replies(self.model, (), batch, replies, TOP)
            for context, ids, likeliest in zip(batch, replies, read, strict=True):
                probabilities, tops = _probabilities(likeliest)
                yield StyleRow(False, _ints(context), _ints(ids), tops, probabilities)

    def _turns(self, chat: ChatFormat, prompt: _Prompt, heard: bool) -> list[int]:
        """The conversation up to the agent's next reply, without the system's part."""
        ids: list[int] = []
        for user, agent in prompt.history:
            ids += [*chat.user_begin, *self._user(user, heard), *chat.user_end]
            ids += [*self.tokenizer.encode(agent), *chat.assistant_end]
        return [*ids, *chat.user_begin, *self._user(prompt.text, heard), *chat.user_end]

    def _user(self, text: str, heard: bool) -> list[int]:
        if not heard:
            return self.tokenizer.encode(text)
        # As the ear embeds them: one by one, each with the space before it.
        return [i for word in text.split() for i in self.tokenizer.encode(f" {word}")]

    def _generate(
        self, prefix: Sequence[int], rows: Sequence[Sequence[int]], settings: GenerationSettings
    ) -> list[list[int]]:
        return continuations(self.fast_model, prefix, rows, settings, self.generator)


def stop_id(chat: ChatFormat) -> int:
    """The id with which the agent ends its turn; TrainingError if the template has none."""
    for token in chat.assistant_end:
        if token in chat.stop_ids:
            return token
    raise TrainingError("the chat template ends no turn with a special token")


def _probabilities(likeliest: Likeliest) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    probabilities = likeliest.log_probs.exp().numpy().astype(np.float32)
    return probabilities, likeliest.ids.numpy().astype(np.int32)


def _ints(ids: Sequence[int]) -> NDArray[np.int32]:
    return np.array(ids, dtype=np.int32)


def _chunks(items: Sequence[_Item], note: str) -> Iterator[Sequence[_Item]]:
    starts = range(0, len(items), _BATCH)
    yield from (items[start : start + _BATCH] for start in track(starts, note))


def _batches(count: int, note: str) -> Iterator[int]:
    yield from (len(chunk) for chunk in _chunks(range(count), note))


def _store(file: Path, rows: list[StyleRow]) -> None:
    store_arrays(
        file,
        spoken=np.array([row.spoken for row in rows]),
        contexts=np.array([len(row.context) for row in rows]),
        replies=np.array([len(row.reply) for row in rows]),
        context=np.concatenate([row.context for row in rows]),
        reply=np.concatenate([row.reply for row in rows]),
        ids=np.concatenate([row.ids for row in rows]),
        # Existing files call them so.
        shares=np.concatenate([row.probabilities for row in rows]).astype(np.float16),
    )


def _stored(file: Path) -> Iterator[StyleRow]:
    with np.load(file) as arrays:
        found = dict(arrays)
    before = np.cumsum(found["contexts"])[:-1]
    positions = np.cumsum(found["replies"])[:-1]
    contexts = np.split(found["context"], before)
    parts = [np.split(found[name], positions) for name in ("reply", "ids", "shares")]
    for spoken, context, reply, ids, probabilities in zip(
        found["spoken"], contexts, *parts, strict=True
    ):
        yield StyleRow(bool(spoken), context, reply, ids, probabilities.astype(np.float32))
