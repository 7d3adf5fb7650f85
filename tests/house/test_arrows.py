"""The packages: who may import whom, and how much may be committed."""

import subprocess
from graphlib import CycleError, TopologicalSorter

import pytest
from imports import ROOT, graph, imported, modules

# Inside each, a package may import those that stand after it, never one that stands before.
ORDERS = {
    "duplex_agent": "cli train gateway offline engine duplex ear llm voice runtime assets audio",
    "duplex_agent.train": "recipes ear voice llm data loop log distributed",
    "duplex_evals": (
        "cli run_command performance understanding voice wavchat report content runners network"
        " metrics speech families conversation audio texts errors"
    ),
}
MAX_TREE_BYTES = 56 * 2**20


def _place(module, whole, order):
    """Which of ``order`` a module of ``whole`` belongs to; None for the others."""
    below, _, _ = module.removeprefix(f"{whole}.").partition(".")
    return order.index(below) if module.startswith(f"{whole}.") and below in order else None


@pytest.mark.parametrize("whole", ORDERS)
def test_arrows_point_one_way(whole):
    order = ORDERS[whole].split()
    places = {module: _place(module, whole, order) for module in graph()}
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        for target in sorted(targets)
        if None not in (places[module], places[target]) and places[target] < places[module]
    ]
    assert wrong == []
    assert set(places.values()) >= set(range(len(order)))


@pytest.mark.parametrize("whole", ["duplex_agent.train", "duplex_evals"])
def test_the_order_names_every_package(whole):
    inside = {
        module.removeprefix(f"{whole}.").partition(".")[0]
        for module in graph()
        if module.startswith(f"{whole}.")
    }
    assert inside - {"__main__"} == set(ORDERS[whole].split())


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
