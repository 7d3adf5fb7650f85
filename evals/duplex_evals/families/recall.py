"""What the user said earlier: corrected within one turn, or asked for a few turns later.

Human cases speak of the numbered folders of a voice mailbox.
"""

from duplex_evals.conversation.scenario import Anchor, Family, Item, Part, Scenario, Voice
from duplex_evals.families.building import (
    blocks,
    cases,
    lines,
    phrase,
    recorded,
    spoken,
    spread,
    turn,
)
from duplex_evals.families.human_lines import FOLDERS, TURNS

TAIL_S = 7.0  # the right word may come late in the reply
REPLY_S = 15.0  # within which a reply has to have ended


def correction() -> list[Scenario]:
    """40 turns in which the user corrects a detail and asks for it."""
    return cases(20, _corrected, _corrected_folder)


def memory() -> list[Scenario]:
    """40 conversations of two or three turns; the last asks for a detail of the first."""
    return cases(20, _remembered, _remembered_folder)


def _corrected(index: int) -> Scenario:
    wrong, right, question, answer = blocks("corrections")[index % 10]
    parts = [
        spoken(index, wrong),
        spoken(index, right, spread(index, 250, 400)),
        spoken(index, question, spread(index + 1, 250, 400)),
    ]
    return _case("correction", index, "synthetic", [_asking("turn", parts, _answers(answer))])


def _corrected_folder(index: int) -> Scenario:
    wrong, _ = FOLDERS[index % 5]
    right, answers = FOLDERS[(index + 1 + index // 5) % 5]
    parts = [
        *phrase("vm-savedto", wrong),
        recorded("asterisk:im-sorry", spread(index, 250, 400)),
        recorded(f"asterisk:{right}", spread(index + 1, 100, 200)),
        recorded("asterisk:vm-savefolder", spread(index + 2, 250, 400)),
    ]
    return _case("correction", index, "human", [_asking("turn", parts, answers)])


def _remembered(index: int) -> Scenario:
    fact, question, answer = blocks("memory")[index % 10]
    talk = [spoken(index, lines("small_talk")[index // 2 % 5])] if index % 2 else []
    return _conversation(
        index, "synthetic", [spoken(index, fact)], talk, [spoken(index, question)], _answers(answer)
    )


def _remembered_folder(index: int) -> Scenario:
    folder, answers = FOLDERS[index % 5]
    talk = [recorded(f"asterisk:{TURNS[index // 2 + 4]}")] if index % 2 else []
    fact = phrase("vm-message", "vm-savedto", folder)
    asking = recorded("asterisk:vm-changeto" if index % 4 == 3 else "asterisk:vm-savefolder")
    return _conversation(index, "human", fact, talk, [asking], answers)


def _conversation(
    index: int,
    voice: Voice,
    fact: list[Part],
    talk: list[Part],
    asking: list[Part],
    answers: list[str],
) -> Scenario:
    items = [turn("fact", fact)]
    if talk:
        items.append(turn("talk", talk, _after_reply_to("fact", index)))
    items.append(_asking("question", asking, answers, _after_reply_to(items[-1].name, index)))
    return _case("memory", index, voice, items)


def _after_reply_to(name: str, index: int) -> Anchor:
    delay_ms = spread(index, 800, 1_200)
    return Anchor(to="agent_end", item=name, delay_ms=delay_ms, timeout_ms=int(REPLY_S * 1000))


def _asking(name: str, parts: list[Part], answers: list[str], anchor: Anchor | None = None) -> Item:
    return turn(name, parts, anchor).model_copy(update={"answers": answers})


def _answers(line: str) -> list[str]:
    return [word.strip() for word in line.removeprefix("=").split("|")]


def _case(family: Family, index: int, voice: Voice, items: list[Item]) -> Scenario:
    turns = "one turn" if len(items) == 1 else f"{len(items)} turns"
    return Scenario(
        id=f"{family}-{index:02d}-{voice}",
        family=family,
        subtype=turns,
        voice=voice,
        seed=index,
        items=items,
        tail_s=TAIL_S,
    )
