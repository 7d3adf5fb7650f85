"""What is imported is declared, for each package and each extra; what is declared is used."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from imports import PACKAGES, ROOT, imported, modules
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BESIDE = [file for folder in ("scripts", "tests") for file in (ROOT / folder).rglob("*.py")]
OWN = {*PACKAGES, "scripts", *(file.stem for file in BESIDE)}
KNOWN = {"parselmouth": ["praat-parselmouth"], **packages_distributions()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Which extras beside the base may a module use? The first pattern that fits its name decides.
NEEDS = {
    r"duplex_agent\.train(\..+)?": {"train"},
    r"duplex_agent\..+\.reference(\..+)?": {"train"},
    r"duplex_agent\.runtime\.torch_checkpoint": {"train"},
    r"duplex_agent\.llm\.thinker_transformers": {"train"},
    r"duplex_agent\.cli": {"train"},  # the command `train`
    r"duplex_agent(\..+)?": set(),
    r"duplex_kernels(\..+)?": {"gpu"},
    r"duplex_evals(\..+)?": {"evals"},
    r"duplex_baselines(\..+)?": {"baselines"},
    r"tests": {"dev"},
}
# Tried, and done without where they are missing.
OPTIONAL = {"pesq", "pystoi", "resemblyzer"}
# Never imported here, and needed all the same.
NEEDED_BY = {
    "accelerate": "transformers reads GGUF files with it",
    "gguf": "transformers reads GGUF files with it",
    "librosa": "speechmos imports it and does not say so",
    "pandas": "speechmos imports it and does not say so",
    "mypy": "a tool", "ruff": "a tool", "types-pyyaml": "for mypy",
    "pytest-asyncio": "a plugin", "pytest-timeout": "a plugin", "pytest-xdist": "a plugin",
    "ray": "the layout of many machines, docs/architecture.md",
    "triton": "runs the kernels without a GPU",
}  # fmt: skip


def declared(extras: set[str]) -> set[str]:
    """Distributions of the base and the extras, those of extras that they name included."""
    found: set[str] = set()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            found |= declared(requirement.extras)
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def distributions(file: Path) -> set[str]:
    """What a file imports from outside this repository, as names of distributions."""
    tops = {name.split(".")[0] for name in imported(file)}
    outside = tops - set(sys.stdlib_module_names) - OWN - OPTIONAL
    return {canonicalize_name(KNOWN.get(top, [top])[0]) for top in outside}


def extras_of(module: str) -> set[str]:
    return next(extras for pattern, extras in NEEDS.items() if re.fullmatch(pattern, module))


@pytest.fixture(scope="module")
def users() -> dict[str, set[str]]:
    """Module (or `tests`) -> the distributions that it imports."""
    found = {
        name: distributions(file) for package in PACKAGES for name, file in modules(package).items()
    }
    return found | {"tests": set().union(*map(distributions, BESIDE))}


def test_what_is_imported_is_declared(users: dict[str, set[str]]) -> None:
    wrong = {
        f"{module} imports {name}"
        for module, names in users.items()
        for name in names - declared(extras_of(module))
    }
    assert wrong == set()


def test_what_is_declared_is_imported(users: dict[str, set[str]]) -> None:
    imports = set().union(*users.values())
    assert declared(set(EXTRAS)) - imports - NEEDED_BY.keys() == set()


@pytest.mark.parametrize("heavy", ["torch", "transformers", "accelerate", "gguf", "matplotlib"])
def test_the_running_agent_needs_no(heavy: str) -> None:
    assert heavy not in declared(set())
