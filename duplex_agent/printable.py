"""Text of any origin made fit for one line of a terminal or a log."""

import re
from typing import Final

# Control characters, separators of lines, reversed writing, halves of characters. The last stand
# in file names for bytes that are not UTF-8, and cannot be written to a stream.
_ACTIVE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """``text`` with what would act on a terminal as escapes, such as ``\\x1b``."""
    return _ACTIVE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
