"""The model hub: a plain GET of a file, with no client library of the hub's.

``HF_ENDPOINT`` names another hub, such as a mirror.
"""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Final

import httpx2

from duplex_agent.assets.table import HubFile

_CONNECT_S: Final = 3.0
_READ_S: Final = 30.0


class HubFailed(Exception):
    """The hub cannot give the file; the message says why."""


def download(hub: HubFile, target: Path, size: int) -> None:
    """Write the file, which should have ``size`` bytes, to ``target``.

    Raises HubFailed, for a hub that did not answer before as well, and OSError for a full disk.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not _answers(endpoint):
        raise HubFailed("the model hub does not answer")
    url = f"{endpoint}/{hub.repo}/resolve/main/{hub.file}"
    timeout = httpx2.Timeout(_READ_S, connect=_CONNECT_S)
    try:
        with httpx2.stream("GET", url, timeout=timeout, follow_redirects=True) as response:
            response.raise_for_status()
            with target.open("wb") as out:
                for block in response.iter_bytes():
                    out.write(block)
                    if out.tell() > size:
                        raise HubFailed(f"{hub.repo} on the hub holds another {hub.file}")
    except httpx2.HTTPStatusError as error:
        raise HubFailed(f"{hub.repo} on the hub: answer {error.response.status_code}") from error
    except httpx2.HTTPError as error:
        raise HubFailed(f"{hub.repo} on the hub: {error or type(error).__name__}") from error


@cache
def _answers(endpoint: str) -> bool:
    """Whether the hub answers at all. Asked once in a process: every failure costs its wait."""
    answers: list[int] = []

    def ask() -> None:
        with suppress(httpx2.HTTPError, httpx2.InvalidURL):
            answers.append(httpx2.head(endpoint, timeout=_CONNECT_S).status_code)

    # In a thread because no time limit applies to the lookup of a name.
    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    return bool(answers)
