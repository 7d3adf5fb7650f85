"""How the thinker talks: length, digits, lists, ends of replies; knowledge; retention.

duplex-evals style [--lora FILE|none] [--examples|--no-examples] [--heard] [--limit N]

Replies are greedy with the product's repetition penalty and run until the model itself ends them
or 60 tokens are written: what the conversation would cut off is counted too. Knowledge is
the written answers to the first of the 150 checkable questions. Retention is measured without
instruction: the base's own greedy replies, read by the model with its change.
"""

import json
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from rich.progress import track
from rich.table import Table

from duplex_agent.llm.chat import EXAMPLES, SYSTEM_PROMPT, ChatFormat, chat_format
from duplex_agent.llm.load import DEFAULT_MODEL, load_thinker
from duplex_agent.llm.sampling import Sampler, Sampling
from duplex_agent.llm.thinker import Thinker
from duplex_agent.terminal import Console
from duplex_evals.content.spoken_qa import questions
from duplex_evals.texts import lines

LONGEST: Final = 60
_KEPT_TOKENS: Final = 24
_LIST = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s|[*#`]|https?:|www\.", re.MULTILINE)
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)")


@dataclass(frozen=True)
class Answer:
    """A reply as it was written; ``ended`` if the model gave a stop id itself."""

    prompt: str
    text: str
    ended: bool


@dataclass(frozen=True)
class StyleResults:
    """What a list of replies looks like to a listener; shares are of all replies."""

    prefix_positions: int
    replies: int
    median_words: float
    longest_words: int
    with_digits: float
    with_lists: float
    over_two_sentences: float
    ended_itself: float
    facts_right: int
    facts: int


@dataclass(frozen=True)
class Retention:
    """The model beside its base on the base's own plain replies."""

    same_greedy_tokens: float
    perplexity: float
    base_perplexity: float
    tokens: int


def as_heard(text: str) -> str:
    """The words as an ear gives them: one by one, each with the space before it."""
    return "".join(f" {word}" for word in text.split())


def answers(
    thinker: Thinker, chat: ChatFormat, prompts: Sequence[str], heard: bool, note: str
) -> Iterator[Answer]:
    """The reply to each prompt as the first of a conversation; the prompt prefix is read once."""
    tokenizer = thinker.tokenizer
    sampler = Sampler(Sampling(), np.random.default_rng(0))
    state = thinker.new_state()
    thinker.append(state, thinker.embed(chat.system))
    prefix = state.length
    for prompt in track(prompts, note):
        thinker.truncate(state, prefix)
        words = tokenizer.encode(as_heard(prompt) if heard else prompt)
        step = thinker.append(state, thinker.embed([*chat.user_begin, *words, *chat.user_end]))
        ids: list[int] = []
        while len(ids) < LONGEST:
            token = sampler.choose(step.logits, ids)
            if token in chat.stop_ids:
                break
            ids.append(token)
            step = thinker.append(state, thinker.embed([token]))
        yield Answer(prompt, tokenizer.decode(ids).strip(), ended=len(ids) < LONGEST)


def sentence_count(text: str) -> int:
    """Sentences that end, and one more if the text goes on behind the last."""
    return len(_SENTENCE.findall(text)) + bool(text and not _SENTENCE.search(text[-2:]))


def style_results(
    said: Sequence[Answer], told: Sequence[Answer], right: int, prefix: int
) -> StyleResults:
    """The style of ``said``, and ``right`` of the facts ``told``."""
    words = [len(answer.text.split()) for answer in said]

    def share(bad: Sequence[bool]) -> float:
        return sum(bad) / len(bad)

    return StyleResults(
        prefix_positions=prefix,
        replies=len(said),
        median_words=statistics.median(words),
        longest_words=max(words),
        with_digits=share([bool(re.search(r"\d", a.text)) for a in said]),
        with_lists=share(["\n" in a.text or bool(_LIST.search(a.text)) for a in said]),
        over_two_sentences=share([sentence_count(a.text) > 2 for a in said]),
        ended_itself=share([a.ended for a in said]),
        facts_right=right,
        facts=len(told),
    )


def retention(base: Thinker, changed: Thinker, prompts: Sequence[str]) -> Retention:
    """How far ``changed`` would still say what ``base`` says where no style is asked for."""
    chat = chat_format(base.tokenizer, system_prompt="", examples=())
    same, theirs, own = 0, [], []
    for prompt in track(prompts, "retention"):
        begin = [*chat.system, *chat.user_begin, *base.tokenizer.encode(prompt), *chat.user_end]
        states = [(model, model.new_state()) for model in (base, changed)]
        steps = [model.append(state, model.embed(begin)) for model, state in states]
        for _ in range(_KEPT_TOKENS):
            token = int(steps[0].logits.argmax())
            same += token == int(steps[1].logits.argmax())
            own.append(_surprise(steps[0].logits, token))
            theirs.append(_surprise(steps[1].logits, token))
            if token in chat.stop_ids:
                break
            steps = [model.append(state, model.embed([token])) for model, state in states]
    return Retention(
        same / len(own), float(np.exp(np.mean(theirs))), float(np.exp(np.mean(own))), len(own)
    )


def _surprise(logits: np.ndarray, token: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(np.log(np.exp(shifted).sum()) - shifted[token])


def main(
    lora: Annotated[str, typer.Option(help="A LoRA file, or none.")] = "none",
    model: Annotated[str, typer.Option(help="Pretrained part, path or hub name.")] = DEFAULT_MODEL,
    examples: Annotated[bool, typer.Option(help="Example turn pairs in the prompt prefix.")] = True,
    heard: Annotated[bool, typer.Option(help="Prompts as an ear gives them.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Prompts and facts.")] = None,
    facts: Annotated[int, typer.Option(min=1, max=150)] = 40,
    out: Annotated[Path | None, typer.Option(help="JSON with results and every reply.")] = None,
) -> None:
    """Print the results of one way of talking; run it once for each that is compared."""
    file = None if lora == "none" else Path(lora)
    thinker = load_thinker(model, lora=file)
    chat = chat_format(thinker.tokenizer, SYSTEM_PROMPT, EXAMPLES if examples else ())
    prompts = lines("style_prompts.txt")[:limit]
    asked = list(questions().values())[: min(facts, limit or facts)]
    said = list(answers(thinker, chat, prompts, heard, "replies"))
    told = list(answers(thinker, chat, [q.ask for q in asked], heard, "facts"))
    right = sum(q.right(a.text) for q, a in zip(asked, told, strict=True))
    found = asdict(style_results(said, told, right, len(chat.system)))
    if file is not None:
        found |= asdict(retention(load_thinker(model), thinker, prompts))
    table = Table("result", "value", title=f"{model}, LoRA {lora}, examples {examples}")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), f"{value:.3g}")
    Console().print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        replies = [asdict(answer) for answer in [*said, *told]]
        out.write_text(json.dumps({"results": found, "replies": replies}, indent=1))
