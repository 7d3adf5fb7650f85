"""Which language is a reply in? py3langid's model (139 languages, BSD-3), five candidates.

Letters decide, so it goes by the agent's own text or by a recogniser of that language. Replies of
one or two words say too little and are left out.
"""

import re
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

CANDIDATES: Final = ("en", "de", "es", "fr", "it")
"""Of the 139; short replies are told apart among few languages or not at all."""
FEWEST_WORDS: Final = 3


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(CANDIDATES))
    return identifier


def language_of(text: str) -> str | None:
    """ISO 639-1 code of ``text``, None for fewer than three words."""
    if len(re.findall(r"[^\W\d_]+", text)) < FEWEST_WORDS:
        return None
    # Names in capitals mislead it, and what is spoken has none.
    code: str = _identifier().classify(text.lower())[0]
    return code


def identifier_name() -> str:
    """What a report states."""
    return f"py3langid {version('py3langid')} among {'/'.join(CANDIDATES)}"
