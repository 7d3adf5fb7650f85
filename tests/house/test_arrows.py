"""The packages: who may import whom, and how much may be committed."""

import subprocess
from graphlib import CycleError, TopologicalSorter

import pytest
from imports import ROOT, graph, imported, modules

# Each package may import those that stand after it, never one that stands before.
ORDER = (
    "cli train gateway offline engine duplex ear llm voice runtime assets audio".split()  # noqa: SIM905
)
MAX_TREE_BYTES = 56 * 2**20


@pytest.mark.parametrize("package", ORDER)
def test_arrows_point_one_way(package):
    above = tuple(f"duplex_agent.{name}" for name in ORDER[: ORDER.index(package)])
    inside = f"duplex_agent.{package}"
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        if module == inside or module.startswith(inside + ".")
        for target in sorted(targets)
        if target.startswith(above)
    ]
    assert wrong == []


def test_no_import_goes_in_a_circle():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_nothing_of_the_agent_imports_the_evals_and_kernels_stand_alone():
    evals = ("duplex_evals", "duplex_baselines")
    wrong = [
        (module, target)
        for module, targets in graph().items()
        for target in targets
        if (module.startswith("duplex_agent") and target.startswith(evals))
        or (module.startswith("duplex_kernels") and not target.startswith("duplex_kernels"))
    ]
    assert wrong == []


def test_gpl_code_is_imported_by_training_only():
    gpl = ("piper", "parselmouth")
    users = {
        module
        for module, file in modules("duplex_agent").items()
        for name in imported(file)
        if name.split(".")[0] in gpl
    }
    assert all(module.startswith("duplex_agent.train.") for module in users), users


def test_everything_is_printed_through_the_console_that_lets_no_text_act():
    users = {
        module
        for package in ("duplex_agent", "duplex_evals")
        for module, file in modules(package).items()
        for name in imported(file)
        if name.startswith("rich.console")
    }
    assert users == {"duplex_agent.terminal"}


def test_the_tracked_tree_stays_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert sum(file.stat().st_size for file in files if file.is_file()) <= MAX_TREE_BYTES
