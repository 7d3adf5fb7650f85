"""The tokenizer of a model folder: tokenizer.json and what stands beside it.

Ids, special tokens and chat template come out as transformers reads them from the same files.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from duplex_agent.errors import ThinkerError
from duplex_agent.llm.text_tokenizer import TextSettings, write_tokenizer

_FILE: Final = "tokenizer.json"
_TEMPLATE: Final = "chat_template.jinja"


def read_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds; ThinkerError if it cannot be read or holds none."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ThinkerError(f"{file} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise ThinkerError(f"{file} holds no JSON object")
    return read


def save_hub_tokenizer(source: Path, folder: Path) -> None:
    """Write the tokenizer of the model in `source` for `TextTokenizer(folder)`.

    Raises ThinkerError if there is none or it cannot be read.
    """
    from tokenizers import AddedToken, Tokenizer

    if not (source / _FILE).is_file():
        raise ThinkerError(
            f"no {_FILE} in {source}; transformers makes one of other files:"
            " AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(source / _FILE))
    except Exception as error:  # the library raises no narrower class
        raise ThinkerError(f"{source / _FILE} cannot be read: {error}") from error
    # Newer folders have no special_tokens_map.json; where both are, the configuration counts.
    config: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (source / name).is_file():
            config |= read_object(source / name)
    known = {token.content for token in _special(tokenizer).values()}
    for token in _named(config):
        if token not in known and tokenizer.token_to_id(token) is not None:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
    settings = TextSettings(
        chat_template=_template(source, config),
        bos_token=_text(config.get("bos_token")),
        eos_token=_text(config.get("eos_token")),
        special_ids=tuple(sorted(_special(tokenizer))),
    )
    write_tokenizer(tokenizer, settings, folder)


def _special(tokenizer: Any) -> dict[int, Any]:
    added = tokenizer.get_added_tokens_decoder().items()
    return {i: token for i, token in added if token.special}


def _named(config: dict[str, Any]) -> Iterable[str]:
    """The tokens that the configuration gives a role, such as `bos_token`."""
    for key, value in config.items():
        if key.endswith("_token"):
            yield from filter(None, [_text(value)])
        elif key in ("additional_special_tokens", "extra_special_tokens"):
            for token in value.values() if isinstance(value, dict) else value or ():
                yield from filter(None, [_text(token)])


def _text(token: Any) -> str:
    """A token as text; files hold the text or an object with it. Empty for anything else."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""


def _template(source: Path, config: dict[str, Any]) -> str | None:
    if (source / _TEMPLATE).is_file():
        return (source / _TEMPLATE).read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    return template
