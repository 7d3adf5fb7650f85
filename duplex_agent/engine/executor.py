"""Executes what sessions ask for, with the parts as they are, on the CPU."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.duplex.parts import EarAndVoice, FlowOmni
from duplex_agent.duplex.requests import Detect, Encode, Render, Request
from duplex_agent.ear.hearing import Hearing
from duplex_agent.llm.requests import (
    Append,
    Cache,
    Decode,
    Decoded,
    Fork,
    Receive,
    Rows,
    Splice,
    Truncate,
)
from duplex_agent.llm.thinker import Thinker, ThinkerState
from duplex_agent.voice.protocol import Spoken

KEPT_PREFIXES: Final = 4


class _Executor:
    """Runs one function for each kind of request, one request after another."""

    def __init__(self, act: dict[type, Callable[[Any], Any]]) -> None:
        self._act = act

    def execute(self, requests: Sequence[Request]) -> list[Any]:
        """The results of requests of one kind, in order; an exception in place of what failed."""
        results: list[Any] = []
        for request in requests:
            try:
                results.append(self._act[type(request)](request))
            except Exception as error:  # handed to the session that asked, and to no other
                results.append(error)
        return results


class ThinkerExecutor(_Executor):
    """Executes edits of caches and decodes tokens on one thinker."""

    def __init__(self, thinker: Thinker) -> None:
        self._thinker = thinker
        self._prefixes: OrderedDict[tuple[int, ...], Cache] = OrderedDict()
        self.kinds: dict[type, Callable[[Any], Any]] = {
            Fork: self._fork,
            Append: self._append,
            Truncate: self._truncate,
            Splice: self._splice,
            Decode: self._decode,
        }
        super().__init__(self.kinds)

    def _fork(self, request: Fork) -> None:
        known = self._prefixes.get(request.ids)
        if known is None:
            known = Cache()
            self._append(Append(known, (request.ids,)))
            self._prefixes[request.ids] = known
            if len(self._prefixes) > KEPT_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(request.ids)
        request.cache.state = self._thinker.copy(self._state(known))
        request.cache.logits = known.logits

    def _append(self, request: Append) -> None:
        rows = np.concatenate([self._rows(piece) for piece in request.rows])
        step = self._thinker.append(self._state(request.cache), rows)
        request.cache.logits = step.logits

    def _truncate(self, request: Truncate) -> None:
        self._thinker.truncate(self._state(request.cache), request.length)

    def _splice(self, request: Splice) -> None:
        filling = None if request.filling is None else self._state(request.filling)
        self._thinker.splice(self._state(request.cache), request.start, request.end, filling)

    def _decode(self, request: Decode) -> Decoded:
        cache = request.cache
        assert cache.logits is not None, "a token is decoded behind an append"
        token = request.sampler.choose(cache.logits, request.used, request.continued)
        if token in request.stop_ids:
            return Decoded(token)
        step = self._thinker.append(self._state(cache), self._thinker.embed([token]))
        cache.logits = step.logits
        return Decoded(token, step.hidden)

    def _state(self, cache: Cache) -> ThinkerState:
        cache.state = cache.state or self._thinker.new_state()
        return cache.state

    def _rows(self, rows: Rows) -> NDArray[np.float32]:
        return rows if isinstance(rows, np.ndarray) else self._thinker.embed(rows)


class CpuExecutor(_Executor):
    """Executes everything that sessions ask of ``parts``, any number of sessions.

    ``live``: the sessions' clock is the real one, and nothing is waited for. Otherwise an answer
    from elsewhere is waited for until the session's own clock has come to it.
    """

    def __init__(self, parts: FlowOmni | EarAndVoice, live: bool = True) -> None:
        self._ear = parts.ear
        self._live = live
        thinker = ThinkerExecutor(parts.thinker).kinds if isinstance(parts, FlowOmni) else {}
        super().__init__(
            {
                Detect: self._detect,
                Encode: self._encode,
                Receive: self._receive,
                Render: self._render,
                **thinker,
            }
        )

    def _detect(self, request: Detect) -> float:
        return request.vad.step(request.pcm)

    def _encode(self, request: Encode) -> Hearing:
        if request.finalize:
            self._ear.finalize(request.state)
        return self._ear.step(request.state, request.pcm)

    def _render(self, request: Render) -> Spoken:
        return request.stream.tick()

    def _receive(self, request: Receive) -> str:
        return request.stream.take(request.waited_ms, wait=not self._live)
