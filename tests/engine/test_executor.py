"""What the executor does to caches, ears and streams, request by request."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scripted_parts import WordVoice
from scripted_user import LevelVad, say

from duplex_agent.duplex.parts import EarAndVoice
from duplex_agent.duplex.requests import Detect, Encode, Render, Request
from duplex_agent.engine.executor import CpuExecutor, ThinkerExecutor
from duplex_agent.llm.requests import (
    Append,
    Cache,
    Decode,
    Decoded,
    Fork,
    Receive,
    Splice,
    Truncate,
)
from duplex_agent.llm.sampling import Sampler, Sampling
from duplex_agent.llm.thinker import ThinkerState, ThinkerStep

VOCABULARY = 50


@dataclass
class Ids(ThinkerState):
    ids: list[int] = field(default_factory=list)


class CountingThinker:
    """Says the number behind the last one; a token's embedding is its number."""

    def __init__(self) -> None:
        self.appended: list[list[int]] = []

    def new_state(self) -> Ids:
        return Ids(0)

    def copy(self, state: Ids) -> Ids:
        return Ids(state.length, list(state.ids))

    def embed(self, ids: Any) -> NDArray[np.float32]:
        return np.array([[i] for i in ids], np.float32)

    def append(self, state: Ids, embeddings: NDArray[np.float32]) -> ThinkerStep:
        rows = [int(i) for [i] in embeddings]
        self.appended.append(rows)
        state.ids += rows
        logits = np.zeros(VOCABULARY, np.float32)
        logits[state.ids[-1] + 1] = 1.0
        return ThinkerStep(logits, embeddings * 10)

    def truncate(self, state: Ids, length: int) -> None:
        del state.ids[length:]

    def splice(self, state: Ids, start: int, end: int, filling: Ids | None) -> None:
        state.ids[start:end] = filling.ids if filling else [0]


class Caches:
    """An executor on a counting thinker."""

    def __init__(self) -> None:
        self.thinker = CountingThinker()
        self._executor = ThinkerExecutor(self.thinker)  # type: ignore[arg-type]

    def execute(self, *requests: Request) -> list[Any]:
        return self._executor.execute(requests)

    def decode(self, cache: Cache, **more: Any) -> Decoded:
        sampler = Sampler(Sampling(), np.random.default_rng(0))
        [decoded] = self.execute(Decode(cache, sampler, **more))
        assert isinstance(decoded, Decoded), decoded
        return decoded


def ids(cache: Cache) -> list[int]:
    assert isinstance(cache.state, Ids)
    return cache.state.ids


def test_ids_and_embeddings_are_appended_in_one_step() -> None:
    caches, cache = Caches(), Cache()
    rows = np.array([[3.0], [4.0]], np.float32)
    assert caches.execute(Append(cache, ((1, 2), rows, (5,)))) == [None]
    assert ids(cache) == [1, 2, 3, 4, 5]
    caches.execute(Append(cache, ((7,),)))
    assert ids(cache) == [1, 2, 3, 4, 5, 7]
    assert caches.thinker.appended == [[1, 2, 3, 4, 5], [7]]


def test_a_token_is_chosen_behind_what_was_appended_and_appended_itself() -> None:
    caches, cache = Caches(), Cache()
    caches.execute(Append(cache, ((1, 2),)))
    for token in (3, 4):
        decoded = caches.decode(cache)
        assert decoded.token == token
        assert decoded.hidden is not None
        assert decoded.hidden.tolist() == [[10.0 * token]]
    assert ids(cache) == [1, 2, 3, 4]


def test_a_token_that_ends_the_text_is_not_appended() -> None:
    caches, cache = Caches(), Cache()
    caches.execute(Append(cache, ((1,),)))
    assert caches.decode(cache, stop_ids=frozenset({2})) == Decoded(2, None)
    assert ids(cache) == [1]


def test_tokens_that_were_used_are_penalised() -> None:
    caches, cache = Caches(), Cache()
    caches.execute(Append(cache, ((1,),)))
    cache.logits[7] = 0.95  # type: ignore[index]
    assert caches.decode(cache, used=(2,)).token == 7
    cache.logits[8], cache.logits[7] = 1.0, 0.95  # type: ignore[index]
    assert caches.decode(cache, continued=frozenset({8})).token == 7


def test_caches_are_cut_and_spliced() -> None:
    caches, cache, other = Caches(), Cache(), Cache()
    caches.execute(Append(cache, ((1, 2, 3, 4),)))
    caches.execute(Append(other, ((8, 9),)))
    caches.execute(Truncate(cache, 3))
    assert ids(cache) == [1, 2, 3]
    caches.execute(Splice(cache, 0, 1, other))
    assert ids(cache) == [8, 9, 2, 3]
    caches.execute(Splice(cache, 1, 3))
    assert ids(cache) == [8, 0, 3]
    assert ids(other) == [8, 9]


def test_a_prefix_is_read_once_and_copied_for_each_conversation() -> None:
    caches, first, second = Caches(), Cache(), Cache()
    caches.execute(Fork(first, (1, 2)), Fork(second, (1, 2)))
    assert caches.thinker.appended == [[1, 2]]
    assert [caches.decode(cache).token for cache in (first, second)] == [3, 3]
    assert ids(first) == ids(second) == [1, 2, 3]
    third = Cache()
    caches.execute(Fork(third, (1, 2)))
    assert ids(third) == [1, 2]


def test_four_prefixes_are_kept_and_the_one_not_used_for_longest_goes() -> None:
    caches = Caches()

    def fork(prefix: int) -> bool:
        """Whether it had to be read."""
        before = len(caches.thinker.appended)
        caches.execute(Fork(Cache(), (prefix,)))
        return len(caches.thinker.appended) > before

    assert [fork(prefix) for prefix in (1, 2, 3, 4)] == [True] * 4
    assert not fork(1)
    assert fork(5)  # in the place of 2
    assert [fork(prefix) for prefix in (1, 3, 4, 5)] == [False] * 4
    assert fork(2)


def test_a_request_that_fails_has_its_error_in_place_of_the_result() -> None:
    caches, cache = Caches(), Cache()
    sampler = Sampler(Sampling(), np.random.default_rng(0))
    caches.execute(Append(cache, ((1,),)))
    failed, decoded = caches.execute(Decode(Cache(), sampler), Decode(cache, sampler))
    assert isinstance(failed, AssertionError)
    assert decoded.token == 2


class NotingEar:
    """Its state notes what is done to it."""

    look_ahead_ticks = 4

    def step(self, state: list[str], pcm: NDArray[np.float32]) -> str:
        state.append("step")
        return "hearing"

    def finalize(self, state: list[str]) -> None:
        state.append("finalize")


class NotingStream:
    def take(self, until_ms: int, wait: bool) -> tuple[int, bool]:
        return until_ms, wait


def test_what_is_heard_and_said_goes_to_its_part() -> None:
    executor = CpuExecutor(EarAndVoice(NotingEar(), WordVoice()))  # type: ignore[arg-type]
    [pcm] = say("")
    state: list[str] = []
    assert executor.execute([Detect(LevelVad(), pcm)]) == [0.95]
    assert executor.execute([Encode(state, pcm)]) == ["hearing"]
    executor.execute([Encode(state, pcm, finalize=True)])
    assert state == ["step", "finalize", "step"]  # what was given is final before more is heard
    stream = WordVoice().start()
    stream.write("Yes.", np.zeros((1, 16), np.float32))
    stream.finish()
    [spoken] = executor.execute([Render(stream)])
    assert spoken.pcm.all()


def test_text_from_elsewhere_is_waited_for_only_where_the_clock_is_not_real() -> None:
    parts = EarAndVoice(NotingEar(), WordVoice())  # type: ignore[arg-type]
    request = Receive(NotingStream(), 160)  # type: ignore[arg-type]
    assert CpuExecutor(parts).execute([request]) == [(160, False)]
    assert CpuExecutor(parts, live=False).execute([request]) == [(160, True)]


def test_without_a_thinker_nothing_is_decoded() -> None:
    executor = CpuExecutor(EarAndVoice(NotingEar(), WordVoice()))  # type: ignore[arg-type]
    [refused] = executor.execute([Truncate(Cache(), 0)])
    assert isinstance(refused, KeyError)
