"""The documents name only what there is, and can all be found."""

import re
from pathlib import Path

import pytest
from documents import COMMANDS, DOCUMENTS, FOREIGN, links, prose, snippets, wrong_in_snippet
from imports import PACKAGES, ROOT

from duplex_agent.spec import AgentSpec

# Instead: CPU time; retrained, reproduced; full-context re-decode; revised, committed words; time
# to first audio; LLM, thinker; turn pair; results.
OWN_WORDS = re.compile(
    r"processor (time|ms)|\banew\b|second pass|taken? back|misheard|words that stand"
    r"|compute to the first|\b(brain|backbone|mind|exchange|figure)s?\b",
    re.IGNORECASE,
)


def test_every_document_is_looked_at():
    assert {"README.md", "docs/architecture.md", "kernels/README.md", "docker/README.md"} <= {
        str(document.relative_to(ROOT)) for document in DOCUMENTS
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_document_names_only_what_there_is(document):
    text = document.read_text()
    wrong = [name for snippet in snippets(text) for name in wrong_in_snippet(snippet, document)]
    wrong += [file for file, _ in links(text) if file and not (document.parent / file).exists()]
    assert wrong == []


@pytest.mark.parametrize(
    ("snippet", "wrong"),
    [
        ("docs/brain.md", ["docs/brain.md"]),
        ("gateway/jitter.py", []),
        ("gateway/jiter.py", ["gateway/jiter.py"]),
        ("python -m duplex_evals.mouth --limit 3", ["python -m duplex_evals.mouth"]),
        ("python -m duplex_agent.train.recipes.thinker_style --rank 8", []),
        ("python -m duplex_agent.train.recipes.thinker_style --tank 8", ["--tank"]),
        ("duplex-evals voice --limit 3 --no-stress", []),
        ("duplex-evals voice --sentences 3", ["--sentences"]),
        ("duplex-evals ear", ["duplex-evals ear"]),
        ("python -m duplex_kernels", ["python -m duplex_kernels"]),
        ("duplex-agent talk a.wav --look-ahead 80 --mute", ["--mute"]),
        ("duplex-agent sing", ["duplex-agent sing"]),
        ("make serve", []),
        ("make tea", ["make tea"]),
        ("--llm-timeout", []),
        ("--brain", ["--brain"]),
        ("DuplexSession.tick", ["DuplexSession.tick"]),
        ("DuplexSession.steps", []),
        ("duplex_agent.model.ear", ["duplex_agent.model.ear"]),
        ("duplex_agent.engine.parts.load", []),
        ("DUPLEX_ASSET_SILERO_VAD=x DUPLEX_LOOK_AHEAD=80", []),
        ("DUPLEX_ASSET_SILERO=x DUPLEX_EAR=80", ["DUPLEX_ASSET_SILERO", "DUPLEX_EAR"]),
    ],
)
def test_what_is_not_there_is_found(snippet, wrong):
    assert list(wrong_in_snippet(snippet, ROOT / "README.md")) == wrong


def test_every_document_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            named = (document.parent / file for file, _ in links(document.read_text()) if file)
            waiting += [file.resolve() for file in named if file.suffix == ".md"]
    prompts = PACKAGES["duplex_evals"] / "data"
    assert [d for d in DOCUMENTS if d not in reached and prompts not in d.parents] == []


def test_the_readme_lists_every_setting():
    text = (ROOT / "README.md").read_text()
    for name in AgentSpec.model_fields:
        assert f"`--{name.replace('_', '-')}`" in text
        assert f"`DUPLEX_{name.upper()}`" in text


def test_code_names_only_documents_that_there_are():
    folders = ("duplex_agent", "kernels", "evals", "tests", "scripts")
    named = {
        name
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if file != Path(__file__)
        for name in re.findall(r"docs/[\w/-]+\.\w+", file.read_text())
    }
    assert [name for name in sorted(named - FOREIGN) if not (ROOT / name).exists()] == []


def test_a_decision_record_has_its_four_parts():
    records = sorted((ROOT / "docs/decisions").glob("0*.md"))
    assert [int(record.name[:3]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        heads = re.findall(r"^## (.+)$", record.read_text(), re.M)
        rest = [head for head in heads if head != "Alternatives"]
        assert rest == ["Context", "Decision", "Consequences", "Measurement"], record.name
        assert record.read_text().startswith(f"# {record.name[:3]}: ")


def shown_texts():
    """Everything that people read: documents, help of the commands, texts of the page."""
    for document in DOCUMENTS:
        yield document.name, re.sub(r"`[^`\n]+`", "", prose(document.read_text()))
    for program, group in COMMANDS.items():
        for name, command in group.commands.items():
            helps = [command.help, *(getattr(p, "help", None) for p in command.params)]
            yield f"{program} {name}", "\n".join(filter(None, helps))
    for file in (ROOT / "duplex_agent/gateway/web").glob("*.[hj]*"):
        yield (
            file.name,
            "\n".join(re.findall(r'["`>]([^"`<>\n]* [^"`<>\n]*)["`<]', file.read_text())),
        )


def test_texts_use_the_terms_of_the_field():
    found = {(name, m[0]) for name, text in shown_texts() for m in OWN_WORDS.finditer(text)}
    assert found == set()
