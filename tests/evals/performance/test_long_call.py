"""The long call: what its user says when, and how its results come about."""

from itertools import pairwise

import numpy as np
import pytest
from duplex_evals.performance.long_call import CallLog, comparison, passes, report_table, summary
from duplex_evals.performance.long_call_facts import AGES_MIN, TalkPlan, says, small_talk, templates


def test_every_fact_is_asked_for_once_and_not_before_its_age() -> None:
    plan = TalkPlan(seed=3)
    lines = [(now_s, plan.next(now_s)) for now_s in range(0, 3600, 9)]
    asked = [(now_s, line.fact) for now_s, line in lines if line.kind == "question"]
    assert len(asked) > 60
    for now_s, fact in asked:
        assert fact is not None
        late_s = now_s - fact.told_s - fact.age_min * 60
        assert 0 <= late_s < 60
    assert len({id(fact) for _, fact in asked}) == len(asked)
    counts = [sum(fact.age_min == age for fact in plan.facts) for age in AGES_MIN]
    assert max(counts) - min(counts) <= 1
    assert {line.text for _, line in lines if line.kind == "talk"} == set(small_talk())


def test_the_last_value_told_is_never_told_again_and_the_plan_follows_from_its_seed() -> None:
    plans = [TalkPlan(seed=5), TalkPlan(seed=5), TalkPlan(seed=6)]
    texts = [[plan.next(now_s).text for now_s in range(0, 3600, 9)] for plan in plans]
    assert texts[0] == texts[1] != texts[2]
    for template in templates():
        told = [fact.value for fact in plans[0].facts if fact.question == template.question]
        assert all(a != b for a, b in pairwise(told))


@pytest.mark.parametrize(("reply", "right"), [("It is Oscar.", True), ("A scar.", False)])
def test_a_reply_is_right_when_it_names_the_value(reply: str, right: bool) -> None:
    assert says(reply, "oscar") is right


def test_the_windows_leave_out_the_warm_up_and_growth_is_seen() -> None:
    per_min = 750
    cost = np.concatenate([np.full(per_min, 500.0), np.full(20 * per_min, 10.0)])
    cost[-10 * per_min :] += 1.0
    log = CallLog(list(cost * 2), list(cost), list(np.linspace(100, 101, len(cost))))
    old, new = (CallLog([ms] * 10, [ms] * 10) for ms in (11.0, 10.0))
    report = summary(log) | comparison(old, new)
    assert report["window_min"] == 10
    assert (report["cpu_ms_p95_first"], report["cpu_ms_p95_last"]) == (10, 11)
    assert (report["cpu_ms_p95_new"], report["cpu_ms_p95_old"]) == (10, 11)
    assert report["late_ticks_cpu"] == per_min
    assert not passes(report)
    assert not passes(report | {"cpu_ms_p95_last": 10.4})
    assert not passes(report | {"cpu_ms_p95_old": 10.4})
    steady = report | {"cpu_ms_p95_last": 10.4, "cpu_ms_p95_old": 10.4}
    assert passes(steady)
    assert not passes(steady | {"rss_mib_last": 120})
    assert report_table(report).row_count >= 8
