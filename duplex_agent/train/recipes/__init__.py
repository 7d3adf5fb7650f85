"""Every recipe by name; each module is imported when its recipe is built."""

from collections.abc import Callable
from importlib import import_module

from duplex_agent.errors import TrainingError
from duplex_agent.train.loop import LoopConfig, Recipe

Builder = Callable[[bool], tuple[Recipe, LoopConfig]]

_BUILDERS: dict[str, str] = {
    "latents": "duplex_agent.train.recipes.latents",
    "codec": "duplex_agent.train.recipes.codec",
    "phones": "duplex_agent.train.recipes.phones",
    "mouth": "duplex_agent.train.recipes.mouth",
    "mouth-distill": "duplex_agent.train.recipes.mouth_distill",
    "mouth-energy": "duplex_agent.train.recipes.mouth_energy",
    "mouth-fsq": "duplex_agent.train.recipes.mouth_fsq",
    "ear": "duplex_agent.train.recipes.ear",
    "adapter": "duplex_agent.train.recipes.adapter",
    "thinker-style": "duplex_agent.train.recipes.thinker_style",
}


def build(name: str, smoke: bool = False) -> tuple[Recipe, LoopConfig]:
    """The recipe and its loop settings; ``smoke`` is the tiny version that CI runs."""
    if name not in _BUILDERS:
        raise TrainingError(f"no recipe called {name!r}; known: {', '.join(sorted(_BUILDERS))}")
    builder: Builder = import_module(_BUILDERS[name]).build
    return builder(smoke)
