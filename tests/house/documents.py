"""What a document names: files, links, modules, commands, options, variables; and what is wrong.

Read from backticks, links and blocks of shell code.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import duplex_evals.cli
import typer
from duplex_evals.cli import PARTS
from imports import PACKAGES, ROOT, modules

import duplex_agent.cli
from duplex_agent.assets.table import ASSETS
from duplex_agent.spec import AgentSpec

FOLDERS = (ROOT, ROOT / "docs", ROOT / "docker", *PACKAGES.values(), ROOT / "kernels")
DOCUMENTS = sorted(
    {ROOT / "README.md", *(f for folder in FOLDERS[1:] for f in folder.rglob("*.md"))}
)
SOURCES = {name: file for package in PACKAGES for name, file in modules(package).items()}
CLASSES: dict[str, str] = {}  # name -> the files that define it
for _file in SOURCES.values():
    for _name in re.findall(r"^class (\w+)", _file.read_text(), re.M):
        CLASSES[_name] = CLASSES.get(_name, "") + _file.read_text()
COMMANDS = {
    "duplex-agent": typer.main.get_command(duplex_agent.cli.app),
    "duplex-evals": typer.main.get_command(duplex_evals.cli.app),
}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
# Files that commands write, and options and documents of other projects.
WRITTEN = {"report.md", "compare.md"}
FOREIGN = {"--secret", "--build-arg", "docs/ContribOperators.md", "docs/gguf.md"}
FOREIGN |= {"docs/interaction-metrics.md"}
# NAME.py and WORK/weights stand for others; runs/ is where commands write.
PLACEHOLDER = re.compile(r"(?:^|[/_.-])(?!README)[A-Z]{2,}(?:[/_.-]|$)|^[~/]|^runs/|://")
FILE = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*\.(?:py|md|toml|sh|js|css|csv|png|safetensors)")
FOLDER = re.compile(r"(?:[\w.-]+/)+|(?:docs|tests|duplex_agent|kernels|evals|scripts)/[\w/-]+")


def prose(text: str) -> str:
    """``text`` without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def snippets(text: str) -> list[str]:
    """What stands in backticks, and each line of the blocks of shell code."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    joined = (body.replace("\\\n", " ").splitlines() for kind, body in blocks if not kind)
    return re.findall(r"`([^`\n]+)`", prose(text)) + [line for body in joined for line in body]


def exists(name: str, document: Path) -> bool:
    """Whether a path in a document leads somewhere, from there, the root, or a package."""
    bases = (document.parent, ROOT, *PACKAGES.values())
    return any(next(base.glob(name.rstrip("/")), None) for base in bases)


def is_module(dotted: str) -> bool:
    """Whether there is such a module, or such a name in one."""
    if dotted in SOURCES:
        return True
    module, _, name = dotted.rpartition(".")
    found = SOURCES.get(module)
    return found is not None and bool(re.search(rf"\b{name}\b", found.read_text()))


def runnable(module: str) -> Path | None:
    """The file that ``python -m`` runs."""
    if f"{module}.__main__" in SOURCES:
        return SOURCES[f"{module}.__main__"]
    file = SOURCES.get(module) or ROOT.joinpath(*module.split("."), "__main__.py")
    return file if file.is_file() and '__name__ == "__main__"' in file.read_text() else None


def has_option(source: str, option: str) -> bool:
    """Whether a parser in ``source`` knows an option: by name, or typer by its argument's."""
    name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
    return f'"{option}"' in source or bool(re.search(rf"\b{name}: ", source))


def options_of(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]


def wrong_in_call(words: list[str]) -> Iterator[str]:
    """What does not exist of one command line."""
    program, *rest = words
    if "-m" in rest and (program.startswith("python") or program == "torchrun"):
        module, *given = rest[rest.index("-m") + 1 :]
        if module.startswith(("duplex_", "scripts")):
            file = runnable(module)
            if file is None:
                yield f"python -m {module}"
            else:
                yield from (o for o in options_of(given) if not has_option(file.read_text(), o))
    elif program in COMMANDS and rest and re.fullmatch(r"[a-z-]+", rest[0]):
        command = COMMANDS[program].commands.get(rest[0])
        if command is None:
            yield f"{program} {rest[0]}"
        elif program == "duplex-evals" and rest[0] in PARTS:
            source = SOURCES[f"duplex_evals.{PARTS[rest[0]][0]}"].read_text()
            yield from (o for o in options_of(rest[1:]) if not has_option(source, o))
        else:
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            yield from (o for o in options_of(rest[1:]) if o not in known)
    elif program == "make":
        yield from (f"make {w}" for w in rest if re.fullmatch(r"[a-z-]+", w) and w not in TARGETS)


def wrong_in_snippet(snippet: str, document: Path) -> Iterator[str]:
    try:
        words = shlex.split(snippet, comments=True)
    except ValueError:  # an apostrophe in text that is no shell code
        words = snippet.split()
    if words:
        yield from wrong_in_call(words)
    if len(words) == 1 and words[0].startswith("--") and words[0] not in FOREIGN:
        every = "\n".join(file.read_text() for file in SOURCES.values())
        known = {f"--{name.replace('_', '-')}" for name in AgentSpec.model_fields}
        if not (words[0] in known or has_option(every, words[0])):
            yield words[0]
    for word in words:
        word = word.rstrip(".,;:")
        named = FILE.fullmatch(word) or FOLDER.fullmatch(word)
        if named and not PLACEHOLDER.search(word) and word not in WRITTEN | FOREIGN:
            yield from () if exists(word, document) else (word,)
    if " -m " not in snippet:  # which was looked at above
        yield from (m for m in re.findall(r"duplex_\w+(?:\.\w+)+", snippet) if not of_ours(m))
    for name, attribute in re.findall(r"\b([A-Z]\w+)\.(\w+)", snippet):
        member = rf"def {attribute}\b|self\.{attribute}\b|^    {attribute}\b *[:=]"
        if name in CLASSES and not re.search(member, CLASSES[name], re.M):
            yield f"{name}.{attribute}"
    yield from (v for v in re.findall(r"DUPLEX_[A-Z_]+[A-Z]", snippet) if not is_variable(v))


def of_ours(dotted: str) -> bool:
    return dotted.endswith((".py", ".md")) or is_module(dotted)


def is_variable(name: str) -> bool:
    """Whether the agent reads this variable of the environment."""
    setting = name.removeprefix("DUPLEX_").lower() in AgentSpec.model_fields
    parts = {re.sub(r"\W", "_", part).upper() for part in ASSETS}
    part = name.removeprefix("DUPLEX_ASSET_") in parts
    return setting or part or any(f'"{name}"' in file.read_text() for file in SOURCES.values())


def links(text: str) -> list[tuple[str, str]]:
    """Targets inside the repository, each as file and anchor."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [(t.partition("#")[0], t.partition("#")[2]) for t in targets if "://" not in t]
