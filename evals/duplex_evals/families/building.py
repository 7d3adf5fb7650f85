"""The few words in which the families are written: voices, lines, cuts, items."""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain
from typing import Final

from duplex_agent.train.data.user_speech import HELD_OUT
from duplex_evals import texts
from duplex_evals.conversation.pools import transcripts
from duplex_evals.conversation.scenario import (
    Anchor,
    Clip,
    Expect,
    Family,
    Item,
    Kind,
    Part,
    Scenario,
    Voice,
)

VOICES: Final = tuple(speaker.voice for speaker in HELD_OUT)
LEAD_MS: Final = 500  # before the first word of a conversation
WORD_GAP_MS: Final = 60  # between cuts that make up one phrase


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of one text of the suite."""
    return tuple(texts.lines(f"duplex_{name}.txt"))


@cache
def blocks(name: str) -> tuple[tuple[str, ...], ...]:
    """The lines of one text, parted at its empty lines."""
    parts = texts.read(f"duplex_{name}.txt").strip().split("\n\n")
    return tuple(tuple(block.splitlines()) for block in parts)


def voice_of(index: int) -> str:
    """The held-out voice of a family's case."""
    return VOICES[index % len(VOICES)]


def spoken(index: int, text: str, gap_ms: int = 0) -> Part:
    """``text`` in the case's synthetic voice."""
    return Part(clip=Clip(voice=voice_of(index), text=text), gap_ms=gap_ms)


def recorded(source: str, gap_ms: int = 0) -> Part:
    """A human recording, ``pool:name``, with its transcript."""
    pool, _, name = source.partition(":")
    return Part(clip=Clip(file=source, text=transcripts(pool).get(name, "")), gap_ms=gap_ms)


def cut(name: str, start_s: float, end_s: float) -> Part:
    """A piece of one of Asterisk's prompts; what is said in it is not known."""
    return Part(clip=Clip(file=f"asterisk:{name}", start_s=start_s, end_s=end_s))


def phrase(*names: str) -> list[Part]:
    """Asterisk prompts one after another, as one phrase."""
    return [recorded(f"asterisk:{name}", WORD_GAP_MS if i else 0) for i, name in enumerate(names)]


def turn(name: str, parts: Iterable[Part], anchor: Anchor | None = None) -> Item:
    """A turn of the user that wants a reply; by default the conversation begins with it."""
    return item(name, "turn", "reply", parts, anchor or Anchor(delay_ms=LEAD_MS))


def item(name: str, kind: Kind, expect: Expect, parts: Iterable[Part], anchor: Anchor) -> Item:
    """One item without a filter."""
    return Item(name=name, kind=kind, expect=expect, parts=list(parts), anchor=anchor)


def while_speaking(after: str, delay_ms: int) -> Anchor:
    """``delay_ms`` into the agent's reply to the item ``after``."""
    return Anchor(to="agent_onset", item=after, delay_ms=delay_ms, timeout_ms=6_000)


def not_for_the_agent(
    family: Family,
    index: int,
    voice: Voice,
    opener: Part,
    other: Callable[[Expect, Anchor], Item],
    tails_s: tuple[float, float],
) -> Scenario:
    """Something the agent should take no notice of, in turn while it speaks and while nobody does.

    ``other`` makes it from what is expected and when it comes; ``opener`` gets the agent to speak;
    ``tails_s`` follow the two kinds.
    """
    if index % 2 == 0:
        anchor = while_speaking("opener", spread(index, 500, 1_200))
        items = [turn("opener", [opener]), other("continue", anchor)]
    else:
        items = [other("ignore", Anchor(delay_ms=spread(index, 800, 2_000)))]
    return Scenario(
        id=f"{family}-{index:02d}-{voice}",
        family=family,
        subtype="while_silent" if index % 2 else "while_speaking",
        voice=voice,
        seed=index,
        items=items,
        tail_s=tails_s[index % 2],
    )


def cases(
    count: int,
    synthetic: Callable[[int], Scenario],
    human: Callable[[int], Scenario],
) -> list[Scenario]:
    """``count`` cases of each kind, in turn."""
    pairs = ((synthetic(index), human(index)) for index in range(count))
    return list(chain.from_iterable(pairs))


def spread(index: int, low: int, high: int) -> int:
    """A delay between two bounds in ms, different from case to case, the same in every run."""
    return low + (index * 7_919 % 97) * (high - low) // 96
