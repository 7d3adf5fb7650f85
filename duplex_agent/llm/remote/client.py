"""Requests to a chat endpoint, read on a thread of their own so that no tick ever waits.

One client serves all conversations of a process; connections stay open for the next reply.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import httpx2

from duplex_agent.errors import LlmError
from duplex_agent.llm.remote.chat_events import TextDelta, refusal, text_delta
from duplex_agent.llm.remote.endpoint import Endpoint
from duplex_agent.llm.remote.messages import Message

log = logging.getLogger(__name__)

CONNECT_S: Final = 5.0
LONGEST_REFUSAL: Final = 65_536


class ChatStream:
    """One reply as it arrives: filled on the client's thread, emptied by the tick.

    What a tick sees is decided by time stamps: a delta that came 700 ms after the request is seen
    700 ms after it, live or in a conversation that is played faster than life.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` in seconds."""
        self._clock = clock
        self._asked_s = clock()
        self._arrived: deque[tuple[float, TextDelta | LlmError]] = deque()  # ms after the request
        self._news = threading.Condition()
        self._over = False  # nothing more will arrive
        self._reading: Future[None] | None = None
        self.ended = False
        self.failure: LlmError | None = None

    def take(self, until_ms: int, wait: bool) -> str:
        """The text that came within ``until_ms`` of the request and was not taken yet; then
        ``ended`` and ``failure`` are right.

        ``wait``: stay until ``until_ms`` have really passed or the reply is over.
        """
        with self._news:
            while wait and not self._over and (left_ms := until_ms - self._now_ms()) > 0:
                self._news.wait(left_ms / 1000)
            text = ""
            while not self.ended and self._arrived and self._arrived[0][0] <= until_ms:
                _, item = self._arrived.popleft()
                if isinstance(item, TextDelta):
                    text += item.text
                    self.ended = item.last
                else:
                    self.ended, self.failure = True, item
        return text

    def cancel(self) -> None:
        """Close the connection if the reply still runs."""
        if self._reading is not None:
            self._reading.cancel()

    def put(self, item: TextDelta | LlmError) -> None:
        """From the client's thread: more of the reply, or why there will be no more."""
        with self._news:
            self._arrived.append((self._now_ms(), item))
            self._over = not isinstance(item, TextDelta) or item.last
            self._news.notify_all()

    def _now_ms(self) -> float:
        return (self._clock() - self._asked_s) * 1000

    def read_by(self, reading: "Future[None]") -> None:
        """What ``cancel`` ends."""
        self._reading = reading


class ChatClient:
    """Asks one endpoint, with ``key`` if it is not empty."""

    def __init__(self, endpoint: Endpoint, key: str = "") -> None:
        self._endpoint = endpoint
        self._key = key
        self._loop = asyncio.new_event_loop()
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            # Silence is timed below: a server's signs of life are no text.
            timeout=httpx2.Timeout(None, connect=min(CONNECT_S, endpoint.timeout_s)),
            # Between two replies lies a turn of the user.
            limits=httpx2.Limits(keepalive_expiry=60),
            trust_env=not endpoint.is_local,
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)
        self._thread.start()

    def ask(self, messages: list[Message]) -> ChatStream:
        """Send a conversation and return at once; the reply comes in the stream."""
        stream = ChatStream()
        reading = self._fill(stream, messages)
        stream.read_by(asyncio.run_coroutine_threadsafe(reading, self._loop))
        return stream

    def close(self) -> None:
        """End every request and the thread."""
        asyncio.run_coroutine_threadsafe(self._end_requests(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_requests(self) -> None:
        requests = asyncio.all_tasks() - {asyncio.current_task()}
        for task in requests:
            task.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await self._http.aclose()

    async def _fill(self, stream: ChatStream, messages: list[Message]) -> None:
        endpoint = self._endpoint
        try:
            await self._read(messages, stream.put)
        except LlmError as error:
            stream.put(error)
        except TimeoutError:
            seconds = f"{endpoint.timeout_s:g} s"
            stream.put(
                LlmError(
                    f"{endpoint.url} sent no text for {seconds}:"
                    " is it busy, or does it need a longer --llm-timeout?"
                )
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            stream.put(
                LlmError(f"cannot reach {endpoint.url} ({_reason(error)}): is the server running?")
            )
        except httpx2.SSEError as error:
            stream.put(LlmError(f"{endpoint.url} does not stream its replies: {_reason(error)}"))
        except httpx2.HTTPError as error:
            stream.put(
                LlmError(
                    f"the connection to {endpoint.url} broke off ({_reason(error)}):"
                    " look at the server's log"
                )
            )
        except Exception as error:  # a fault of ours must not leave the conversation waiting
            log.exception("reading a reply failed")
            stream.put(LlmError(f"reading the reply failed: {_reason(error)}"))

    async def _read(self, messages: list[Message], put: Callable[[TextDelta], None]) -> None:
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        body = {"model": endpoint.model, "messages": messages, "stream": True}
        url, last = endpoint.completions_url, False
        async with (
            asyncio.timeout(endpoint.timeout_s) as silence,
            self._http.sse(url, method="POST", json=body) as source,
        ):
            response = source.response
            if response.status_code != 200:
                said = b""
                async for part in response.aiter_bytes():
                    said += part
                    if len(said) > LONGEST_REFUSAL:
                        break
                raise LlmError(refusal(endpoint, response.status_code, said, self._key))
            async for event in source:
                if last or not event.data:
                    continue  # read on: a connection that is read to its end can be used again
                delta = text_delta(event.data)
                if delta.text or delta.last:
                    put(delta)
                    silence.reschedule(loop.time() + endpoint.timeout_s)
                last = delta.last
        if not last:
            raise LlmError(
                f"{endpoint.url} ended the stream in the middle of the reply: look at its log"
            )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
