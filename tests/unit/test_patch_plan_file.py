"""Plans as files: what is written comes back, and errors name the entry at fault."""

import json

import pytest

from quantmcu_kit import passes, tflite
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import Grid, HaloMode
from quantmcu_kit.patch.choose import Wishes, choose
from quantmcu_kit.patch.plan import front_json
from quantmcu_kit.patch.plan_file import Entry, PlanFile, plan_from_json, read_plan, write_plan
from tests.support.networks import Network


@pytest.fixture(scope="module")
def graph():
    """8x8x2 -> conv -> (conv -> add) -> conv -> mean."""
    network = Network()
    network.map("x", (1, 8, 8, 2))
    network.conv("x", "a", 4)
    network.conv("a", "b", 4)
    network.add("a", "b", "c")
    network.conv("c", "d", 8)
    return passes.run_all(tflite.load(network.build(["x"], [network.mean("d", "e", [1, 2])]), name="small"))


def test_what_a_file_says():
    first = '{"start": 0, "end": 3, "grid": "4x2", "halo": "recompute"}'
    text = f'{{"stretches": [{first}, {{"start": 3, "end": 4, "grid": "2x1"}}]}}'
    entries = (Entry(0, 3, Grid(4, 2), HaloMode.RECOMPUTE), Entry(3, 4, Grid(2, 1), HaloMode.REUSE))
    assert plan_from_json(text, "p.json") == PlanFile(entries, "auto", "p.json")


@pytest.mark.parametrize("source", ["arena", "rows"])
def test_a_plan_survives_its_file(graph, tmp_path, source):
    plan = choose(graph, None, Wishes(optimize="ram", input=source)).plan
    path = tmp_path / "plan.json"
    write_plan(path, plan)
    assert json.loads(path.read_text())["input"] == source
    assert choose(graph, None, Wishes(patches=read_plan(path))).plan == plan


def test_what_is_not_listed_runs_whole(graph):
    plan = choose(graph, None, Wishes(patches=PlanFile((Entry(3, 4, Grid(2, 2), HaloMode.REUSE),)))).plan
    assert [(s.segment.start, s.segment.end, s.grid) for s in plan.stretches] == [
        (0, 3, None), (3, 4, Grid(2, 2)), (4, 5, None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("{", "p.json", "JSON"),
        ("[]", "p.json", "list of stretches"),
        ('{"stretches": [], "inputs": 1}', "p.json", "inputs"),
        ('{"stretches": [], "input": "push"}', "p.json", "push"),
        ('{"stretches": [7]}', "stretches[0]", "fields"),
        ('{"stretches": [{"start": 0, "end": 3}]}', "stretches[0]", "grid"),
        ('{"stretches": [{"start": 0, "end": 3, "grid": "4x4", "size": 1}]}', "stretches[0]", "size"),
        ('{"stretches": [{"start": 3, "end": 3, "grid": "4x4"}]}', "stretches[0]", "3..3"),
        ('{"stretches": [{"start": true, "end": 3, "grid": "4x4"}]}', "stretches[0]", "True"),
        ('{"stretches": [{"start": 0, "end": 3, "grid": "4"}]}', "stretches[0]", "not a grid"),
        ('{"stretches": [{"start": 0, "end": 3, "grid": "4x4", "halo": []}]}', "stretches[0]", "halo"),
        ('{"stretches": [{"start": 0, "end": 3, "grid": "1x1"}, {"start": 2, "end": 4, "grid": "1x1"}]}',
         "stretches[1]", "before"),
    ],
)  # fmt: skip
def test_files_at_fault(text, where, says):
    with pytest.raises(QmkitError) as error:
        plan_from_json(text, "p.json")
    assert error.value.code == "bad-plan" and where in error.value.where and says in error.value.message


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (Entry(0, 6, Grid(2, 2), HaloMode.REUSE), "nodes are 0..4"),
        (Entry(0, 2, Grid(2, 2), HaloMode.REUSE), "1 and 3"),  # a and b are alive there
        (Entry(3, 4, Grid(9, 2), HaloMode.REUSE), "8x8"),
        (Entry(4, 5, Grid(1, 1), HaloMode.REUSE), "(MEAN)"),  # a reduction ends a segment, but is none
    ],
)
def test_entries_that_the_network_cannot_have(graph, entry, says):
    with pytest.raises(QmkitError) as error:
        choose(graph, None, Wishes(patches=PlanFile((entry,), where="p.json")))
    assert error.value.code == "bad-plan" and error.value.where == "p.json, stretches[0]" and says in error.value.why


def test_no_file(tmp_path):
    with pytest.raises(QmkitError) as error:
        read_plan(tmp_path / "none.json")
    assert error.value.code == "bad-plan"


def test_a_front_is_data(graph):
    front = choose(graph, None, Wishes(optimize="ram")).front
    data = json.loads(json.dumps(front_json(front)))
    assert [(entry["ram_bytes"], entry["cost"]) for entry in data] == [(plan.ram_bytes, plan.cost) for plan in front]
