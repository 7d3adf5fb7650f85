from pathlib import Path

import pytest
from duplex_evals.conversation.scenario import (
    Anchor,
    Clip,
    Conditions,
    Echo,
    Item,
    Part,
    Scenario,
    read_scenarios,
    write_scenarios,
)
from duplex_evals.errors import ScenarioError
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = """
id: one
family: custom
items:
- {name: a, kind: turn, expect: reply, parts: [{clip: {file: "noise:pink"}}]}
- name: b
  kind: backchannel
  expect: continue
  anchor: {to: agent_onset, item: a}
  parts: [{clip: {voice: rms, text: Uh-huh.}}]
"""

clips = st.one_of(
    st.builds(Clip, voice=st.just("rms"), text=st.text("abc äß:#-", min_size=1).filter(str.strip)),
    st.builds(Clip, file=st.just("noise:white"), gain_db=st.floats(-60, 20)),
)
parts = st.lists(st.builds(Part, clip=clips, gap_ms=st.integers(0, 2_000)), min_size=1, max_size=3)
conditions = st.builds(
    Conditions,
    snr_db=st.none() | st.floats(-10, 40),
    loss=st.floats(0, 0.5),
    echo=st.none() | st.builds(Echo, delay_ms=st.integers(0, 500), gain_db=st.just(-20.0)),
)
items = st.builds(
    Item,
    name=st.just("a"),
    kind=st.sampled_from(["turn", "noise"]),
    expect=st.just("anything"),
    parts=parts,
    anchor=st.builds(Anchor, delay_ms=st.integers(0, 600_000)),
)


@settings(deadline=None)
@given(items, conditions)
def test_a_scenario_written_is_the_scenario_read(
    tmp_path_factory: pytest.TempPathFactory, item: Item, heard_through: Conditions
) -> None:
    file = tmp_path_factory.mktemp("s") / "s.yaml"
    scenario = Scenario(id="x", family="custom", items=[item], conditions=heard_through)
    write_scenarios(file, [scenario])
    assert read_scenarios(file) == [scenario]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("kind: turn", "kind: shout", "items.0.kind"),
        ("name: b", "name: a", "two items are called 'a'"),
        ("item: a}", "item: c}", "unknown earlier item"),
        ("text: Uh-huh.", "text: ' '", "needs text"),
        ('file: "noise:pink"', "gain_db: 0", "needs either voice"),
        ('file: "noise:pink"', 'file: "noise:pink", start_s: 2, end_s: 1', "end_s"),
        ("id: one", "id: one\nvolume: 11", "volume"),
        ("parts: [{clip: {voice", "parts: [{gap_ms: -1, clip: {voice", "gap_ms"),
        ("id: one", "id: [", "s.yaml"),
        ("family: custom", "", "family"),
    ],
)
def test_a_corrupt_scenario_is_refused_by_the_name_of_its_fault(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD, "utf-8")
    assert [s.id for s in read_scenarios(file)] == ["one"]
    file.write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(ScenarioError, match=complaint):
        read_scenarios(file)


def test_a_file_that_is_not_there_or_not_text_is_a_scenario_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml"):
        read_scenarios(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(ScenarioError, match=r"binary\.yaml"):
        read_scenarios(tmp_path / "binary.yaml")
