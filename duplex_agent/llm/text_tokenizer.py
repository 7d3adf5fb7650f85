"""Text to token ids and back with the `tokenizers` library alone (no transformers import).

The file is the one transformers itself would use for the model, so the ids are identical.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_TOKENIZER_FILE = "tokenizer.json"
_SETTINGS_FILE = "text.json"


@dataclass(frozen=True)
class TextSettings:
    """What `tokenizer.json` does not say; absent tokens are empty strings."""

    chat_template: str | None
    bos_token: str
    eos_token: str
    special_ids: tuple[int, ...]  # ids that are never text


class TextTokenizer:
    """The tokenizer of one language model, with its chat template and its special tokens."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER_FILE))
        settings = json.loads((folder / _SETTINGS_FILE).read_text())
        self.settings = TextSettings(**{**settings, "special_ids": tuple(settings["special_ids"])})

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text: "<|im_end|>" in it is ten characters, not a special token."""
        return self._encode(text, plain=True)

    def encode_markup(self, text: str) -> list[int]:
        """Token ids of a part of a chat template, where special tokens are written out."""
        return self._encode(text, plain=False)

    def _encode(self, text: str, plain: bool) -> list[int]:
        self._tokenizer.encode_special_tokens = plain
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; bytes that are no whole character yet become U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    @property
    def tokens(self) -> list[str]:
        """Text of every id by itself, leading space included."""
        return [self.decode([i]) for i in range(len(self))]

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether the folder holds a tokenizer."""
        return (folder / _TOKENIZER_FILE).is_file() and (folder / _SETTINGS_FILE).is_file()

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        return size


def write_tokenizer(tokenizer: Any, settings: TextSettings, folder: Path) -> None:
    """Write a `tokenizers.Tokenizer` so that `TextTokenizer(folder)` can read it."""
    tokenizer.save(str(folder / _TOKENIZER_FILE))
    (folder / _SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=1))
