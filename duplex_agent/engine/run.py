"""Drives the ticks of sessions: one at once, or many side by side with a batch for each kind."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from duplex_agent.duplex.events import Tick
from duplex_agent.duplex.requests import Request
from duplex_agent.duplex.session import Steps

Key = TypeVar("Key")
Result = TypeVar("Result")


class Executor(Protocol):
    """Answers requests."""

    def execute(self, requests: Sequence[Request]) -> list[Any]:
        """The results of requests of one kind, in order; an exception in place of what failed."""
        ...


def run_one(steps: Generator[Request, Any, Result], executor: Executor) -> Result:
    """Run one tick, or any other generator of requests, to its result; raises what it raises."""
    try:
        request = next(steps)
        while True:
            [answer] = executor.execute([request])
            request = _answer(steps, answer)
    except StopIteration as done:
        result: Result = done.value
        return result


def run_many(ticks: Mapping[Key, Steps], executor: Executor) -> dict[Key, Tick | Exception]:
    """Run one tick of many sessions, their requests batched by kind.

    A session that fails has its exception in place of the tick, and the others go on.
    """
    done: dict[Key, Tick | Exception] = {}
    asking: dict[Key, Request] = {}

    def go_on(key: Key, result: Any) -> None:
        try:
            asking[key] = _answer(ticks[key], result)
        except StopIteration as end:
            done[key] = end.value
        except Exception as error:
            done[key] = error

    for key in ticks:
        go_on(key, None)
    while asking:
        kinds: dict[type, list[Key]] = {}
        for key, request in asking.items():
            kinds.setdefault(type(request), []).append(key)
        for keys in kinds.values():
            results = executor.execute([asking.pop(key) for key in keys])
            for key, result in zip(keys, results, strict=True):
                go_on(key, result)
    return done


def _answer(steps: Generator[Request, Any, Any], result: Any) -> Request:
    """Give a result to a session; its next request."""
    return steps.throw(result) if isinstance(result, Exception) else steps.send(result)
