"""The fields of `AgentSpec` as options of a command, with a variable of the environment each."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, get_args, get_origin

import typer

from duplex_agent.spec import AgentSpec


def with_spec(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` an option for each field; it takes the ``spec`` that they make."""

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        settings = {name: given.pop(name) for name in AgentSpec.model_fields}
        chosen = {name: value for name, value in settings.items() if value is not None}
        command(**given, spec=AgentSpec.of(**chosen))

    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "spec"]
    parameters = [*own, *_options()]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _options() -> list[inspect.Parameter]:
    options: list[inspect.Parameter] = []
    for name, field in AgentSpec.model_fields.items():
        flag = "--" + name.replace("_", "-")
        option = typer.Option(
            flag,
            envvar=f"DUPLEX_{name.upper()}",
            help=field.description,
            metavar=_metavar(field.annotation),
            show_default=_shown(field.default),
        )
        kind = field.annotation if field.annotation in (int, float) else str
        options.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, option],
            )
        )
    return options


def _shown(default: Any) -> str | bool:
    if is_dataclass(default) and not isinstance(default, type):
        return ", ".join(f"{name}={value}" for name, value in asdict(default).items())
    return str(default) if isinstance(default, (int, float)) or default else False


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is not None and all(isinstance(a, str) for a in get_args(annotation)):
        return "|".join(get_args(annotation))
    return {int: "N", float: "X"}.get(annotation, "TEXT")
