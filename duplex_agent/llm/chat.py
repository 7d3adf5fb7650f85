"""How a conversation is laid out for the language model: the ids between the words.

The parts are cut out of the tokenizer's own chat template, so that any chat model works: the
template is rendered with marked messages and split at the marks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.text_tokenizer import TextTokenizer

# Chosen by trying: docs/decisions/012-prompt-and-spoken-style.md.
SYSTEM_PROMPT = "You are a friendly voice assistant. Answer in one short sentence."

# A small model follows examples better than instructions: these make replies short, and more
# often right. They open every conversation as if they had been said.
EXAMPLES = (
    ("What is the capital of Spain?", "The capital of Spain is Madrid."),
    ("How many legs does a dog have?", "A dog has four legs."),
    ("Who invented the telephone?", "Alexander Graham Bell invented the telephone."),
    ("What is two plus two?", "Two plus two is four."),
    ("I am a bit tired.", "Then take a short break and have some tea."),
)

_SYSTEM, _USER, _ASSISTANT, _NEXT = "[[system]]", "[[user]]", "[[assistant]]", "[[next]]"
_Messages = list[dict[str, str]]


@dataclass(frozen=True)
class ChatFormat:
    """Token ids around the turns. A conversation is laid out as

    system (with the examples), then for every turn pair: user_begin, the user's words, user_end,
    the reply, assistant_end. `user_end` ends the user's turn and begins the assistant's; a turn
    that stands alone has `user_close` or `assistant_begin` instead. A reply is over when the
    model gives one of `stop_ids`; that id is not appended, `assistant_end` is.
    """

    system: tuple[int, ...]
    user_begin: tuple[int, ...]
    user_end: tuple[int, ...]
    user_close: tuple[int, ...]
    assistant_begin: tuple[int, ...]
    assistant_end: tuple[int, ...]
    stop_ids: frozenset[int]


def chat_format(
    tokenizer: TextTokenizer,
    system_prompt: str = SYSTEM_PROMPT,
    examples: Sequence[tuple[str, str]] = EXAMPLES,
) -> ChatFormat:
    """Cut the tokenizer's chat template into the parts of a conversation.

    `examples` are turn pairs (user, agent) before the first real one.
    Raises ThinkerError if there is no template or it cannot be cut into turns that look alike.
    """
    prefix = [{"role": "system", "content": _SYSTEM}]
    try:
        _render(tokenizer, [*prefix, _message("user", _USER)])
    except ThinkerError:
        # Templates without a system role (Gemma's, some of Mistral's) raise: tell it in a turn.
        prefix = [_message("user", _SYSTEM), _message("assistant", "Okay.")]
    asked = [*prefix, _message("user", _USER)]
    answered = [*asked, _message("assistant", _ASSISTANT)]
    going_on = [*answered, _message("user", _NEXT)]

    before_user, user_end = _split(_render(tokenizer, asked, answer_next=True), _USER)
    user_close = _common_start(user_end, _split(_render(tokenizer, asked), _USER)[1])
    _, assistant_end = _split(_render(tokenizer, answered), _ASSISTANT)
    _, between = _split(_render(tokenizer, going_on).partition(_NEXT)[0], _ASSISTANT)
    if not between.startswith(assistant_end):
        # Some templates close the last turn differently; what comes between turns counts.
        assistant_end = _common_start(between, assistant_end)
    user_begin = between[len(assistant_end) :]
    if not before_user.endswith(user_begin):
        raise ThinkerError("the chat template begins the first turn unlike the later ones")
    system = before_user[: len(before_user) - len(user_begin)]

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode_markup(text))

    ahead, _, behind = system.partition(_SYSTEM)
    # Prompt and examples are plain text, whatever they say.
    prefix_ids = [*ids(ahead), *tokenizer.encode(system_prompt), *ids(behind)]
    for question, reply in examples:
        prefix_ids += [*ids(user_begin), *tokenizer.encode(question), *ids(user_end)]
        prefix_ids += [*tokenizer.encode(reply), *ids(assistant_end)]
    return ChatFormat(
        system=tuple(prefix_ids),
        user_begin=ids(user_begin),
        user_end=ids(user_end),
        user_close=ids(user_close),
        assistant_begin=ids(user_end[len(user_close) :]),
        assistant_end=ids(assistant_end),
        stop_ids=frozenset(tokenizer.settings.special_ids),
    )


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _render(tokenizer: TextTokenizer, messages: _Messages, answer_next: bool = False) -> str:
    """The template's text for the messages, rendered as transformers renders it."""
    from jinja2 import TemplateError

    settings = tokenizer.settings
    if not settings.chat_template:
        raise ThinkerError("the language model has no chat template: take an instruct model")
    try:
        text: str = _compiled(settings.chat_template).render(
            messages=messages,
            add_generation_prompt=answer_next,
            bos_token=settings.bos_token,
            eos_token=settings.eos_token,
        )
    except (TemplateError, TypeError) as error:
        raise ThinkerError(f"the chat template cannot be rendered: {error}") from error
    return text


@lru_cache(maxsize=4)
def _compiled(template: str) -> Any:
    """The template, ready to render: compiling it for each conversation took longer than a tick."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> Any:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    # The prompt must be the same every day, so a template that asks for the date gets a fixed one.
    environment.globals["strftime_now"] = lambda _: "26 Jul 2024"
    return environment.from_string(template)


def _split(text: str, mark: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise ThinkerError(f"the chat template leaves out or changes a message ({mark})")
    return before, after


def _common_start(a: str, b: str) -> str:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return a[:length]


_ENDING = re.compile(r"(?P<word>\S*?)(?P<mark>[.!?…]+)[\"'”’)\]]*(?P<space>\s*)$")
_ABBREVIATIONS = frozenset(
    (
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "approx",
        "mt",
    )
)


def is_sentence_end(text: str) -> bool:
    """Whether a reply written so far may be cut after `text`: it ends with a whole sentence.

    A full stop after an abbreviation, an initial, or a digit (which may be a decimal point or the
    number of a list item) is no end unless a line break follows.
    """
    if not text.strip():
        return False
    if text.endswith("\n"):
        return True
    found = _ENDING.search(text)
    if found is None:
        return False
    word = found["word"].lstrip("\"'“‘([").lower()
    if found["mark"] != ".":
        return bool(word) or text.strip() != found["mark"]
    initial = len(word) == 1 and word.isalpha() and word != "i"
    return bool(word) and not (word in _ABBREVIATIONS or initial or word[-1].isdigit())
