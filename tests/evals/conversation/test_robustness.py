"""A sweep repeats every case under every condition and can be told apart from it."""

from duplex_evals.content import slots, spoken_qa
from duplex_evals.conversation.robustness import CLEAN, CONDITIONS, WORDS, case_of, sweep


def test_a_sweep_changes_conditions_and_ids_only() -> None:
    cases = [spoken_qa.scenarios()[0], slots.scenarios()[0]]
    swept = sweep(cases)
    assert len({s.id for s in swept}) == len(swept) == 2 * len(CONDITIONS)
    for scenario in swept:
        case, condition = case_of(scenario.id)
        original = next(c for c in cases if c.id == case)
        assert scenario.conditions == CONDITIONS[condition] != original.conditions
        assert scenario.items == original.items


def test_a_case_without_a_mark_is_clean() -> None:
    assert case_of("qa-001") == ("qa-001", CLEAN)


def test_every_condition_has_words() -> None:
    assert WORDS.keys() == CONDITIONS.keys()
