"""The thinker's own answers to written turns: the targets when it hears them instead."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.llm.chat import ChatFormat
from duplex_agent.llm.text_tokenizer import TextTokenizer
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.llm.batched import GenerationSettings, continuations, read_replies

TOP: Final = 32  # likeliest ids kept of a distribution; the rest is one bucket
_BATCH: Final = 64


@dataclass(frozen=True)
class Answer:
    """A greedy ``reply`` int32 [n] and at each of its tokens the likeliest ids [n, TOP] with their
    probabilities, all given the written turn.
    """

    reply: NDArray[np.int32]
    ids: NDArray[np.int32]
    probabilities: NDArray[np.float32]


def prepare_answers(
    file: Path,
    model: Callable[[], Any],
    tokenizer: TextTokenizer,
    chat: ChatFormat,
    texts: Sequence[str],
    longest: int,
) -> dict[str, Answer]:
    """Answers of at most ``longest`` tokens by text, from ``file`` or written into it now."""
    if not file.exists():
        _generate(file, model(), tokenizer, chat, texts, longest)
    with np.load(file) as arrays:
        found = dict(arrays)
    known = json.loads(found["texts"].tobytes())
    positions = np.cumsum(found["lengths"])[:-1]
    parts = [np.split(found[name], positions) for name in ("reply", "ids", "shares")]
    answers = zip(known, *parts, strict=True)
    return {text: Answer(reply, ids, s.astype(np.float32)) for text, reply, ids, s in answers}


def _generate(
    file: Path,
    model: Any,
    tokenizer: TextTokenizer,
    chat: ChatFormat,
    texts: Sequence[str],
    longest: int,
) -> None:
    settings = GenerationSettings(chat.stop_ids, longest)
    replies: list[list[int]] = []
    tops, probabilities = [], []
    for start in track(range(0, len(texts), _BATCH), "answers"):
        part = texts[start : start + _BATCH]
        turns = [[*chat.user_begin, *tokenizer.encode(t), *chat.user_end] for t in part]
        said = continuations(model, chat.system, turns, settings, torch.Generator())
        replies += said
        for likeliest in read_replies(model, chat.system, turns, said, TOP):
            tops.append(likeliest.ids.numpy().astype(np.int32))
            probabilities.append(likeliest.log_probs.exp().numpy().astype(np.float16))
    store_arrays(
        file,
        texts=np.frombuffer(json.dumps(list(texts)).encode(), np.uint8),
        lengths=np.array([len(reply) for reply in replies]),
        reply=np.concatenate([np.array(reply, np.int32) for reply in replies]),
        ids=np.concatenate(tops),
        shares=np.concatenate(probabilities),  # existing files call them so
    )
