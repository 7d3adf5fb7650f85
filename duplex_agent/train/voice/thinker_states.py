"""The thinker's hidden state behind every spoken word of the teacher, one row per tick.

The thinker reads each sentence as its own reply; the state after a word's last subword is held for
as long as the teacher speaks that word. Sentences whose written words and spoken groups of phones
differ in number (espeak-ng runs some words together) get no states, as speech from bare text does.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from duplex_agent.clock import TICK_MS
from duplex_agent.llm.load import load_thinker
from duplex_agent.llm.thinker import Thinker
from duplex_agent.train.data.agent_speech import Utterance, read_corpus
from duplex_agent.train.data.array_file import store_arrays
from duplex_agent.train.data.text import training_sentences
from duplex_agent.voice.spoken_text import speakable

_STATES_FILE = "thinker-states.npz"
_REPLY_PREFIX = "<|im_start|>assistant\n"


def word_ticks(utterance: Utterance) -> NDArray[np.int64] | None:
    """Word index spoken at every tick, or None when words cannot be told apart."""
    words = utterance.text.split()
    groups, owner = 0, []
    for phone in utterance.phones:
        owner.append(groups)
        groups += phone == " "
    if groups + 1 != len(words) or "$" in utterance.phones[:-1]:
        return None
    ends = np.cumsum(utterance.durations_s, dtype=np.float64)
    middles = np.arange(TICK_MS / 2000, ends[-1], TICK_MS / 1000)
    return np.array(owner)[np.searchsorted(ends, middles)]


def _word_states(
    thinker: Thinker, prefix: NDArray[np.float32], sentence: str
) -> NDArray[np.float32]:
    """Middle-layer state after each word, [words, width]."""
    subwords = [
        thinker.tokenizer.encode(word if index == 0 else f" {word}")
        for index, word in enumerate(sentence.split())
    ]
    lasts = np.cumsum([len(p) for p in subwords]) - 1
    state = thinker.new_state()
    thinker.append(state, prefix)
    step = thinker.append(state, thinker.embed([i for p in subwords for i in p]))
    return step.hidden[lasts]


def _computed(speech: Path, thinker: Thinker) -> Iterator[tuple[str, NDArray[np.float16]]]:
    written = {speakable(s): s for s in training_sentences(seed=0)}
    prefix = thinker.embed(thinker.tokenizer.encode_markup(_REPLY_PREFIX))
    for utterance in track(list(read_corpus(speech)), "thinker states"):
        sentence, ticks = written.get(utterance.text), word_ticks(utterance)
        if sentence is None or ticks is None or len(sentence.split()) != ticks.max() + 1:
            continue
        yield utterance.text, _word_states(thinker, prefix, sentence)[ticks].astype(np.float16)


def read_states(speech: Path) -> dict[str, NDArray[np.float16]]:
    """Text -> states [ticks, width] for the corpus in ``speech``; computed once, then read."""
    file = speech / _STATES_FILE
    if not file.exists():
        found = dict(_computed(speech, load_thinker()))
        rows = [len(r) for r in found.values()]
        store_arrays(
            file,
            texts=np.array(list(found)),
            rows=np.array(rows),
            states=np.concatenate(list(found.values())),
        )
    with np.load(file) as arrays:
        parts = np.split(arrays["states"], np.cumsum(arrays["rows"])[:-1])
        return dict(zip(arrays["texts"].tolist(), parts, strict=True))
