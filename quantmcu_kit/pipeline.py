"""Read this first: the whole way from a .tflite file to a library, one stage after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmcu_kit import calibrate, emit, memory, passes, patch, quantize, tflite
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.calibrate import Dataset, Progress
from quantmcu_kit.emit.footprint import STACK_BYTES, Footprint, estimate_footprint
from quantmcu_kit.emit.latency import Latency, estimate_latency, has_cycles, patch_costs
from quantmcu_kit.emit.names import library_name
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.manifest import Manifest
from quantmcu_kit.ir.plans import Calibration, MemoryPlan, PrecisionPlan, TensorStats
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.options import Options
from quantmcu_kit.tflite.kinds import ModelKind

MAX_MODEL_BYTES = 256 * 1024 * 1024  # far beyond any microcontroller's flash
BATCH = 16  # pictures decoded, observed or simulated at a time
GOLDENS = 4  # golden vectors in a library
_STAND_IN = "cortex-m4f"  # its cycles tell dear layers from cheap ones for cores that have no cycle model
_TIGHTER_PLANS = 4  # tried where blocks cannot be placed without gaps


def _silent(stage: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Model:
    """A model file and the cleaned graph that it holds, float or integer.

    Attributes:
        name: C identifier made of the file's name.
        kind: how the file came.
    """

    path: Path
    name: str
    data: bytes
    kind: ModelKind
    graph: Graph

    @property
    def is_integer(self) -> bool:
        """Whether the network is quantized already."""
        return all(not tensor.dtype.is_float for tensor in self.graph.feature_maps())

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one input sample as the graph takes it, without the batch axis."""
        return self.graph.tensors[self.graph.inputs[0].tensor].shape[1:]


@dataclass(frozen=True, eq=False)
class Quantized:
    """An integer graph, how pixels enter it, and a few inputs with their exact outputs.

    Attributes:
        int8: the same network at 8 bits, where the graph has other widths too.
    """

    graph: Graph
    preprocess: Preprocess | None
    class_names: tuple[str, ...]
    goldens: tuple[Golden, ...]
    calibration_pictures: int
    warnings: tuple[str, ...]
    int8: Graph | None = None


@dataclass(frozen=True, eq=False)
class Layout:
    """How an integer graph runs on a board: what there was to choose from, the stages, and their memory."""

    choice: patch.Choice
    schedule: Schedule
    memory: MemoryPlan


@dataclass(frozen=True, eq=False)
class Build:
    """A library, rendered but not yet written, and what is to be said about it.

    Attributes:
        latency: None for a board whose core has no cycle model.
    """

    board: Board
    quantized: Quantized
    layout: Layout
    manifest: Manifest
    footprint: Footprint
    latency: Latency | None
    files: Mapping[str, str | bytes]

    @property
    def fits(self) -> bool:
        """Whether arena, stack and flash fit what the board's core leaves."""
        return (
            self.footprint.ram_bytes <= self.board.free_ram_bytes
            and self.manifest.external_bytes <= self.board.psram_bytes
            and self.footprint.flash_bytes <= self.board.free_flash_bytes
        )


def load_model(path: Path) -> Model:
    """Read, import and simplify a model file."""
    data = _read(path)
    graph = tflite.load(data, name=path.stem, where=path.name)
    try:
        cleaned = passes.run_all(graph)
    except QmkitError as error:
        raise error.located(path.name) from None
    return Model(path, library_name(path.stem), data, tflite.classify(graph), cleaned)


def build(model: Model, options: Options, progress: Progress = _silent) -> Build:
    """The whole flow. Nothing is written: see :func:`emit.write`."""
    board = find(options.board)
    quantized = quantize_model(model, options, progress)
    layout = lay_out(quantized.graph, board, options)
    progress("emit", 0, 1)
    files = emit.render(
        quantized.graph,
        layout.memory,
        name=options.name or model.name,
        board=board.id,
        schedule=layout.schedule,
        preprocess=quantized.preprocess,
        class_names=quantized.class_names,
        goldens=quantized.goldens,
    )
    progress("emit", 1, 1)
    manifest = manifests.from_json(files[manifests.PATH])
    latency = estimate_latency(quantized.graph, board, layout.schedule, layout.memory)
    return Build(board, quantized, layout, manifest, estimate_footprint(manifest), latency, files)


def arena_limit(board: Board, options: Options) -> int:
    """Most bytes of the arena: what the user says, else what the board leaves beside the stack."""
    return board.free_ram_bytes - STACK_BYTES if options.ram is None else options.ram


def lay_out(graph: Graph, board: Board, options: Options) -> Layout:
    """Plan an integer graph's patches and memory for a board.

    Raises:
        QmkitError: ``ram-budget``, ``cost-limit``, ``bad-patches`` or ``bad-plan``: what is asked for cannot be.
    """
    costs = _costs(graph, board) if options.cost in (None, "cycles") else None
    alive = memory.bytes_alive(graph)
    limit = budget = arena_limit(board, options)
    for _ in range(_TIGHTER_PLANS):
        choice = patch.choose(graph, costs, options.wishes(budget), whole_bytes=alive)
        schedule = patch.lay_out(graph, choice.plan)
        plan = memory.plan(graph, schedule, internal_bytes=limit if board.psram_bytes else None)
        if not choice.fits or plan.arena_bytes <= limit:
            break
        budget -= plan.arena_bytes - limit
    return Layout(choice, schedule, plan)


def _costs(graph: Graph, board: Board) -> patch.Costs:
    """What nodes and patches take, in cycles of the board's core."""
    core = board.cpu if has_cycles(board.cpu) else _STAND_IN
    cycles = patch_costs(graph, core)
    pairs = zip(graph.nodes, cycles.whole, cycles.call, strict=True)
    return patch.Costs(
        nodes={node.name: patch.NodeCost(whole, call) for node, whole, call in pairs},
        byte=cycles.moved_byte,
        enter=cycles.enter,
        leave=cycles.leave,
        patch=cycles.patch,
        check=cycles.check,
    )


def quantize_model(model: Model, options: Options, progress: Progress = _silent) -> Quantized:
    """Calibrate and quantize a float model; an integer one keeps its own parameters."""
    dataset = find_dataset(model, options.images)
    preprocess = calibrate.resolve_preprocess(
        model.graph, preprocess=options.preprocess, normalisation=options.normalisation
    )
    graph, pictures, warnings = model.graph, 0, ()
    if not model.is_integer:
        if len(model.graph.inputs) > 1:
            raise _several_inputs(model)
        if dataset is None:
            raise _needs_pictures(model)
        calibration, warnings = calibrate.observe(
            model.data, model.graph, dataset, preprocess, limit=options.limit, progress=progress
        )
        pictures = calibration.pictures
        precision = PrecisionPlan()
        graph = quantize.apply(graph, calibration, precision, quantize.Settings(options.range, options.rounding))
    goldens = _goldens(graph, dataset, preprocess)
    names, complaint = _class_names(graph, dataset)
    return Quantized(graph, preprocess, names, goldens, pictures, (*warnings, *complaint))


def sized_graph(model: Model) -> Graph:
    """The integer graph that a build would have, for its sizes alone: float maps get the nominal range [-1, 1]."""
    nominal_stats = TensorStats(-1.0, 1.0, np.ones(2, np.int64), -1.0, 1.0)
    stats = {tensor.name: nominal_stats for tensor in model.graph.feature_maps()}
    nominal = quantize.Settings("minmax", rounding="nearest", bias_correction=False)
    return quantize.apply(model.graph, Calibration(stats, {}, 0), PrecisionPlan(), nominal)


def find_dataset(model: Model, images: Path | None) -> Dataset | None:
    """The user's pictures, else the folder ``images`` beside a model that takes pictures, else None."""
    beside = model.path.parent / "images"
    takes_pictures = len(model.sample_shape) == 3 and model.sample_shape[2] in (1, 3)
    if images is None and not (takes_pictures and beside.is_dir()):
        return None
    return calibrate.open_dataset(images or beside, model.sample_shape)


def _class_names(graph: Graph, dataset: Dataset | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The data set's class names where they fit the network's output, and a warning where they do not."""
    names = dataset.class_names if dataset else ()
    classes = emit.class_count(graph)
    if not names or len(names) == classes:
        return names, ()
    return (), (
        f"labels.txt names {len(names)} classes, the network has {classes or 'no class vector'}: names left out",
    )


def _goldens(graph: Graph, dataset: Dataset | None, preprocess: Preprocess | None) -> tuple[Golden, ...]:
    """Golden vectors of the user's first pictures, or of reproducible noise where there are none."""
    shapes = [graph.tensors[port.tensor].shape for port in graph.inputs]
    if dataset is not None and len(shapes) == 1:
        samples = next(dataset.batches(GOLDENS, limit=GOLDENS)).data
        inputs = [calibrate.quantized_inputs(graph, samples, preprocess)]
    else:
        generator = np.random.default_rng(0)
        inputs = [generator.integers(-128, 128, (GOLDENS, *shape[1:])).astype(np.int8) for shape in shapes]
    names = [port.tensor for port in graph.inputs]
    outputs = Interpreter(graph, integer=True).run(dict(zip(names, inputs, strict=True)))
    return tuple(
        Golden(_rows(inputs, index), _rows([outputs[port.tensor] for port in graph.outputs], index))
        for index in range(len(inputs[0]))
    )


def _rows(arrays: Sequence[np.ndarray], index: int) -> tuple[np.ndarray, ...]:
    return tuple(array[index : index + 1] for array in arrays)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise QmkitError(
                "model-too-large",
                f"{path.name} has {size:,} bytes",
                why=f"models up to {MAX_MODEL_BYTES:,} bytes are read; boards hold a few megabytes",
            )
        return path.read_bytes()
    except OSError as error:
        raise QmkitError(
            "no-such-model",
            f"cannot read {path}",
            why=error.strerror or str(error),
            hint="give the path of a .tflite file",
        ) from None


def _needs_pictures(model: Model) -> QmkitError:
    return QmkitError(
        "no-pictures",
        f"{model.path.name} is a {model.kind.value} model and needs pictures to calibrate on",
        why="the ranges of its feature maps are found by running it on inputs like those it will see",
        hint="add --images FOLDER, or put an images/ folder beside the model",
    )


def _several_inputs(model: Model) -> QmkitError:
    return QmkitError(
        "several-inputs",
        f"{model.path.name} is a {model.kind.value} model with {len(model.graph.inputs)} inputs",
        why="calibration samples are those of one input; nothing says which samples of two inputs belong together",
        hint="a network of several inputs that is quantized to int8 already builds as it is",
    )
