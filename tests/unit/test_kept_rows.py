"""Branch classes where rows are kept: patches run one by one, with values requantized by the definition of QUANTIZE,
against the interpreter; a network by hand; what cannot keep rows is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quantmcu_kit.ir.branches import Branches, Scan, StaticClasses, check_branches
from quantmcu_kit.ir.check import InvariantError
from quantmcu_kit.ir.graph import Graph, Node, Tensor
from quantmcu_kit.ir.plans import MIXED, OUTLIER
from quantmcu_kit.ir.region import Interval, Region
from quantmcu_kit.ir.schedule import Grid, HaloMode, Schedule, Span, Stage
from quantmcu_kit.ir.types import Activation, DType, Padding, Quant, Size
from quantmcu_kit.ops import conv_2d
from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import prepare_node
from quantmcu_kit.ops.kept_rows import saved_columns
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.patch.lay_out import lay_out_segment
from quantmcu_kit.patch.segment import segment
from tests.support.branch_cases import collected, picture
from tests.support.patch_tiles import Patch, tiles
from tests.support.patched_libraries import patched, small_network
from tests.support.patched_program import Case, PatchedProgram
from tests.support.small_graphs import GraphBuilder
from tests.support.subbyte_reference import Map, requantized

CASES, PICTURES = 60, 2


def evaluate(graph: Graph, index: int, values: dict[str, np.ndarray]) -> np.ndarray:
    """One node, over all of its output."""
    node = graph.nodes[index]
    inputs = (None if name is None else values.get(name, graph.tensors[name].data) for name in node.inputs)
    return TABLE[node.op].int_ref(prepare_node(graph, node), *inputs)


def part(values: np.ndarray, region: Region) -> np.ndarray:
    """A region of a map [1, h, w, c]; nothing where either side is empty."""
    return values[:, region.rows.start : region.rows.end, region.columns.start : region.columns.end]


def converted(values: np.ndarray, x: Tensor, y: Tensor) -> np.ndarray:
    """Values of a map under the type of another class."""
    own, other = (Map(tensor.dtype.bits, float(tensor.quant.s), tensor.quant.z) for tensor in (x, y))
    if own == other:
        return values
    table = {value: other.clamp(requantized(value, own, other)) for value in np.unique(values).tolist()}
    return np.array([table[value] for value in values.ravel().tolist()], y.dtype.numpy).reshape(values.shape)


def rubbish(tensor: Tensor, rng: np.random.Generator) -> np.ndarray:
    values = rng.integers(tensor.dtype.low, tensor.dtype.high, tensor.shape, endpoint=True)
    return values.astype(tensor.dtype.numpy)


def above(patch: Patch, name: str) -> Region:
    """What a patch needs of a map, and does not compute."""
    needed, fresh = patch.needed[name], patch.fresh[name]
    return Region(Interval(needed.rows.start, fresh.rows.start if fresh.rows.size else needed.rows.end), needed.columns)


def class_of(branches: Branches, pixels: np.ndarray, row: int, column: int) -> str:
    """Of one patch, which reads these pixels for the first time."""
    if isinstance(branches.rule, StaticClasses):
        return branches.rule.names[row][column]
    scores = [int(branches.rule.table[int(value) % 256]) for value in pixels.ravel()]
    return OUTLIER if sum(scores) > branches.rule.limit * len(scores) else MIXED


def run_apart(case: Case, x: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The network's output for one picture [1, ...], and the classes of its patches, row by row."""
    graph, rng = case.graph, np.random.default_rng(5)
    stage = case.schedule.stages[case.branches.stage]
    piece = segment(graph, stage.start, stage.end)
    values = {graph.inputs[0].tensor: x}
    for index in range(stage.start):
        values[graph.nodes[index].output] = evaluate(graph, index, values)
    source = values[piece.input]
    outputs = [(stage.start + index, node.output) for index, node in enumerate(piece.nodes(graph))]
    kept = {name: rubbish(graph.tensors[name], rng) for _, name in outputs}
    classes = []
    for index, patch in enumerate(tiles(graph, piece, stage.patches.grid, stage.patches.mode)):
        seen = part(source, patch.fresh[piece.input])
        classes.append(class_of(case.branches, seen, *divmod(index, stage.patches.column_steps)))
        own = case.branches.graphs[classes[-1]]
        held = {piece.input: rubbish(graph.tensors[piece.input], rng)}
        part(held[piece.input], patch.needed[piece.input])[:] = part(source, patch.needed[piece.input])
        for node, name in outputs:
            pair = graph.tensors[name], own.tensors[name]
            held[name] = rubbish(own.tensors[name], rng)
            part(held[name], above(patch, name))[:] = converted(part(kept[name], above(patch, name)), *pair)
            fresh = patch.fresh[name]
            part(held[name], fresh)[:] = part(evaluate(own, node, held), fresh)
        for _, name in outputs:  # where patches overlap, the later one stays
            fresh = patch.fresh[name]
            part(kept[name], fresh)[:] = converted(part(held[name], fresh), own.tensors[name], graph.tensors[name])
    values[piece.cut_map(graph)] = kept[piece.cut_map(graph)]
    for index in range(piece.tiled_end, len(graph.nodes)):
        values[graph.nodes[index].output] = evaluate(graph, index, values)
    return values[graph.outputs[0].tensor], classes


def test_patches_one_by_one_give_the_same():
    mixed = changed = 0
    for case in collected(CASES, HaloMode.REUSE_ROWS):
        name, shape = case.graph.inputs[0].tensor, case.graph.tensors[case.graph.inputs[0].tensor].shape
        x = np.concatenate([picture(shape, np.random.default_rng(seed)) for seed in range(PICTURES)])
        interpreter = BranchInterpreter(case.graph, case.schedule, case.branches)
        (got,) = interpreter.run({name: x}).values()
        outliers = interpreter.classes({name: x})
        for index in range(PICTURES):
            expected, classes = run_apart(case, x[index : index + 1])
            np.testing.assert_array_equal(got[index : index + 1], expected)
            assert outliers[index].ravel().tolist() == [each == OUTLIER for each in classes]
        mixed += 0 < outliers.mean() < 1
        recomputed = [dataclasses.replace(case.branches, rule=ALL[each]) for each in (OUTLIER, MIXED)]
        outputs = (BranchInterpreter(case.graph, case.schedule, each).run({name: x}) for each in recomputed)
        changed += not np.array_equal(*(output for each in outputs for output in each.values()))
    assert mixed > 0.6 * CASES and changed > 0.6 * CASES


ALL = {name: Scan(np.full(256, int(name == OUTLIER), np.uint16), 0) for name in (OUTLIER, MIXED)}


def sums_down_columns(names: tuple[tuple[str, str], ...]) -> Case:
    """x -> m = x -> y = m + the pixels of m above and below, 4x2 pixels in 2x2 patches; m of 8 bits and of 4."""
    network = GraphBuilder("sums")
    one = Quant.per_tensor(1.0, 0)
    tensors, nodes = {"x": Tensor("x", (1, 4, 2, 1), DType.I8, one)}, []
    for source, name, height in (("x", "m", 1), ("m", "y", 3)):
        pad = Padding(height // 2, height // 2, 0, 0)
        weights, bias = np.ones((1, height, 1, 1), np.int8), np.zeros(1, np.int32)
        tensors |= {
            name: Tensor(name, (1, 4, 2, 1), DType.I8, one),
            f"{name}/w": Tensor(f"{name}/w", weights.shape, DType.I8, one, weights),
            f"{name}/b": Tensor(f"{name}/b", bias.shape, DType.I32, one, bias),
        }
        attrs = conv_2d.Attrs(Size(1, 1), Size(1, 1), pad, Activation.NONE)
        nodes.append(Node("CONV_2D", name, attrs, (source, f"{name}/w", f"{name}/b"), (name,)))
    network.tensors, network.nodes = tensors, nodes
    graph = network.build(("x",), ("y",))
    narrow = dataclasses.replace(graph.tensors["m"], dtype=DType.U4, quant=Quant.per_tensor(4.0, 8))
    patches = lay_out_segment(graph, segment(graph, 0, 2), Grid(2, 2), HaloMode.REUSE_ROWS, is_pulled=False)
    graphs = {OUTLIER: graph, MIXED: graph.replace(tensors={**graph.tensors, "m": narrow})}
    return Case(graph, Schedule((Stage(0, 2, patches),)), Branches(0, graphs, StaticClasses(names)))


def test_by_hand(tmp_path):
    """4 bits are multiples of 4 from -32 to 28. Rows of patches compute row 0 of m, then 1 and 2, then 3, and nothing
    of y, its upper half, its lower half."""
    case = sums_down_columns(((OUTLIER, MIXED), (MIXED, OUTLIER), (OUTLIER, MIXED)))
    x = np.array([[11, 3], [23, 7], [35, 11], [44, 19]], np.int8).reshape(1, 4, 2, 1)
    # On the left 11 comes back as 12; 23 and 35 become 24 and 28, and stay so.
    left = [12 + 24, 12 + 24 + 28, 24 + 28 + 44, 28 + 44]
    # On the right 3 becomes 4, and stays so; 7 and 11 come back as 8 and 12, and 19 becomes 20.
    right = [4 + 7, 4 + 7 + 11, 8 + 12 + 20, 12 + 20]
    expected = np.array([left, right]).T.reshape(1, 4, 2, 1)
    interpreter = BranchInterpreter(case.graph, case.schedule, case.branches)
    np.testing.assert_array_equal(interpreter.run({"x": x})["y"], expected)
    np.testing.assert_array_equal(PatchedProgram([case], tmp_path).run(0, x), expected)


def test_who_saves_a_column():
    def saved(*columns: tuple[int, int, int]) -> list[tuple[int, int]]:
        return saved_columns(tuple(Span(*each) for each in columns))

    assert saved((0, 0, 2), (2, 2, 4)) == [(0, 2), (2, 4)]
    assert saved((0, 0, 3), (1, 1, 4)) == [(0, 1), (1, 4)]
    assert saved((0, 0, 3), (2, 3, 3), (2, 2, 5)) == [(0, 2), (2, 2), (2, 5)]  # the patch in the middle needs nothing
    assert saved((0, 0, 4), (0, 0, 4)) == [(0, 0), (0, 4)]


@pytest.mark.parametrize(
    ("grid", "mode"),
    [
        ((3, 1), HaloMode.REUSE_ROWS),
        ((3, 1), HaloMode.REUSE),
        ((3, 2), HaloMode.REUSE),
        ((1, 2), HaloMode.REUSE_COLUMNS),
    ],
)
def test_what_stays_within_tiles_is_refused(grid, mode):
    graph = small_network()
    schedule = patched(graph, grid, mode, end=5)
    with pytest.raises(InvariantError, match="keep nothing within their tiles"):
        check_branches(Branches(0, {OUTLIER: graph, MIXED: graph}, ALL[MIXED]), schedule)


def test_what_is_kept_beside_them_is_not():
    graph = small_network()
    branches = Branches(0, {OUTLIER: graph, MIXED: graph}, ALL[MIXED])
    for grid in ((3, 2), (1, 2)):
        assert check_branches(branches, patched(graph, grid, HaloMode.REUSE_ROWS, end=5)) is branches
