"""Read this first: the whole way from a .tflite file to a library, one stage after another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantmcu_kit import accuracy, calibrate, emit, passes, precision, quantize, tflite
from quantmcu_kit.boards.catalog import Board, find
from quantmcu_kit.calibrate import Dataset, Progress
from quantmcu_kit.emit.footprint import Footprint, estimate_footprint
from quantmcu_kit.emit.latency import Latency, estimate_latency
from quantmcu_kit.emit.names import library_name
from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.ir import manifest as manifests
from quantmcu_kit.ir.branches import Branches
from quantmcu_kit.ir.contract import Golden, Preprocess
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.manifest import Manifest
from quantmcu_kit.ir.plans import Calibration, PrecisionPlan
from quantmcu_kit.layout import Layout, lay_out, nominal_graph, spare_ram
from quantmcu_kit.mix import Frame, find_mix, frame_of, quantize_settings
from quantmcu_kit.ops.branches import BranchInterpreter, interpreter_of
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.options import Options
from quantmcu_kit.precision import Mix
from quantmcu_kit.search import class_map
from quantmcu_kit.tflite.kinds import ModelKind
from quantmcu_kit.tuned import mix_of_tuned, read_tuned

MAX_MODEL_BYTES = 256 * 1024 * 1024  # far beyond any microcontroller's flash
BATCH = 16  # pictures decoded, observed or simulated at a time
GOLDENS = 4  # golden vectors in a library
_NOT_TRAINED = "of networks with classes of patches, layers behind those are trained alone: --vdpc off trains all"
CLASS_PICTURE = "patch_classes.png"


def _silent(stage: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Model:
    """A model file and the cleaned graph that it holds, float or integer.

    Attributes:
        name: C identifier made of the file's name.
        kind: how the file came.
        removed_channels: of layers with weights, constant or read by nothing: the graph does without them.
    """

    path: Path
    name: str
    data: bytes
    kind: ModelKind
    graph: Graph
    removed_channels: int = 0

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
        graph: where patches have classes, the one that stands for all of them.
        calibration: what was seen of a float model on the user's pictures.
        mix: the widths that were searched for, with ``int8``, the same network at 8 bits.
        pictures: files that show something of it, by name.
    """

    graph: Graph
    preprocess: Preprocess | None
    class_names: tuple[str, ...]
    goldens: tuple[Golden, ...]
    warnings: tuple[str, ...]
    calibration: Calibration | None = None
    mix: Mix | None = None
    int8: Graph | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def calibration_pictures(self) -> int:
        """How many were seen."""
        return self.calibration.pictures if self.calibration else 0

    @property
    def branches(self) -> Branches | None:
        """Classes of patches, where there are any."""
        return self.mix.branches if self.mix else None


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
    removed = passes.count_removed_channels(graph, cleaned)
    return Model(path, library_name(path.stem), data, tflite.classify(graph), cleaned, removed)


def build(model: Model, options: Options, progress: Progress = _silent) -> Build:
    """The whole flow. Nothing is written: see :func:`emit.write`."""
    board = find(options.board)
    tuned, options = read_tuned(model.graph, model.data, options)
    frame = None if tuned else frame_of_search(model, board, options)
    quantized = quantize_model(model, options, progress)
    if tuned:
        quantized, layout = with_tuned(model, quantized, tuned, board, options)
    elif frame:
        quantized, layout = with_mix(model, quantized, board, frame, progress)
    else:
        quantized = dataclasses.replace(quantized, graph=passes.remove_dead_channels(quantized.graph))
        layout = lay_out(quantized.graph, board, options)
    result = rendered(model, quantized, layout, board, options, progress)
    _check_limits(result.footprint, result.latency, options)
    return result


def rendered(
    model: Model, quantized: Quantized, layout: Layout, board: Board, options: Options, progress: Progress = _silent
) -> Build:
    """An integer network that is laid out for a board, as a library."""
    progress("emit", 0, 1)
    files = emit.render(
        layout.graph,
        layout.memory,
        name=options.name or model.name,
        board=board.id,
        schedule=layout.schedule,
        branches=layout.branches,
        preprocess=quantized.preprocess,
        class_names=quantized.class_names,
        goldens=quantized.goldens,
        extras=quantized.pictures,
        hot_bytes=min(options.hot_weights, spare_ram(board, options, layout.memory)),
    )
    progress("emit", 1, 1)
    manifest = manifests.from_json(files[manifests.PATH])
    latency = estimate_latency(layout.graph, board, layout.schedule, layout.memory, layout.branches)
    footprint = estimate_footprint(manifest)
    return Build(board, quantized, layout, manifest, footprint, latency, files)


def quantize_model(model: Model, options: Options, progress: Progress = _silent) -> Quantized:
    """Calibrate and quantize a float model; an integer one keeps its own parameters."""
    dataset = find_dataset(model, options.images)
    preprocess = calibrate.resolve_preprocess(
        model.graph, preprocess=options.preprocess, normalisation=options.normalisation
    )
    graph, calibration, warnings = model.graph, None, ()
    if not model.is_integer:
        if len(model.graph.inputs) > 1:
            raise _several_inputs(model)
        if dataset is None:
            raise _needs_pictures(model)
        calibration, warnings = calibrate.observe(
            model.data, model.graph, dataset, preprocess, limit=options.limit, progress=progress
        )
        graph = quantize.apply(graph, calibration, PrecisionPlan(), quantize_settings(options))
    goldens = _goldens(Interpreter(graph, integer=True), graph, dataset, preprocess)
    names, complaint = _class_names(graph, dataset)
    return Quantized(graph, preprocess, names, goldens, (*warnings, *complaint), calibration)


def _check_limits(footprint: Footprint, latency: Latency | None, options: Options) -> None:
    """Raise ``flash-budget`` or ``latency-budget`` where a library exceeds what the user allows."""
    if options.flash is not None and footprint.flash_bytes > options.flash:
        raise QmkitError(
            "flash-budget",
            f"the library takes about {footprint.flash_bytes:,} bytes of flash, and {options.flash:,} are allowed",
            why=f"weights and tables take {footprint.weights_bytes:,}, code about {footprint.code_bytes:,}",
            hint=f"--flash {footprint.flash_bytes}, or --bits auto",
            exit_code=EXIT_FAILED,
        )
    if options.latency is not None and latency is not None and latency.milliseconds > options.latency:
        raise QmkitError(
            "latency-budget",
            f"the network takes about {latency.milliseconds:,.2f} ms, and {options.latency:,g} are allowed",
            why="bits are chosen by the time of layers; patches, scans and the slowest class of patches take more",
            hint=f"--latency {math.ceil(latency.milliseconds)}, or fewer patches",
            exit_code=EXIT_FAILED,
        )


def frame_of_search(model: Model, board: Board, options: Options) -> Frame | None:
    """What a search for widths has to keep to, where there is one: before the user waits for calibration."""
    if options.bits != "auto":
        return None
    if model.is_integer:
        raise _already_quantized(model)
    if options.effort:
        accuracy.check_torch()
    return frame_of(model.graph, board, options)


def with_mix(
    model: Model,
    int8: Quantized,
    board: Board,
    frame: Frame,
    progress: Progress = _silent,
    *,
    sensitivity: precision.Sensitivity | None = None,
) -> tuple[Quantized, Layout]:
    """A float model quantized at 8 bits -> the mix of widths that the search finds for the board.

    Args:
        sensitivity: see :func:`mix.find_mix`.

    Raises:
        QmkitError: what :func:`mix.find_mix` raises.
    """
    samples, inputs = measured_inputs(model, int8, frame.options)
    more = frame.options.limit if frame.options.effort else accuracy.FEEDBACK_PICTURES
    mix, layout = find_mix(
        model.graph,
        int8.graph,
        int8.calibration,
        inputs,
        board,
        frame,
        progress,
        sensitivity=sensitivity,
        refined_on=calibration_inputs(model, int8, frame.options, more)[1],
    )
    quantized = _finished(model, int8, mix, layout, frame.options)
    warnings = (*int8.warnings, *((_NOT_TRAINED,) if frame.options.effort and mix.branches else ()))
    return dataclasses.replace(quantized, pictures=_class_picture(mix, samples[0]), warnings=warnings), layout


def _finished(model: Model, int8: Quantized, mix: Mix, layout: Layout, options: Options) -> Quantized:
    """With the golden vectors of a mix."""
    run = interpreter_of(mix.graph, layout.schedule, mix.branches)
    goldens = _goldens(run, mix.graph, find_dataset(model, options.images), int8.preprocess)
    return dataclasses.replace(int8, graph=mix.graph, goldens=goldens, mix=mix, int8=int8.graph)


def with_tuned(
    model: Model, int8: Quantized, tuned: accuracy.Tuned, board: Board, options: Options
) -> tuple[Quantized, Layout]:
    """A float model quantized at 8 bits -> what was tuned of it."""
    mix, layout = mix_of_tuned(model.graph, int8.calibration, tuned, board, options)
    return _finished(model, int8, mix, layout, options), layout


def measured_inputs(model: Model, int8: Quantized, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Calibration pictures that losses are measured on: as the data set has them, and as the network takes them."""
    return calibration_inputs(model, int8, options, precision.PICTURES)


def calibration_inputs(model: Model, int8: Quantized, options: Options, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Likewise, of another number of calibration pictures, spread over them."""
    batches = find_dataset(model, options.images).batches(BATCH, limit=min(options.limit, most))
    samples = np.concatenate([batch.data for batch in batches])
    return samples, calibrate.quantized_inputs(int8.graph, samples, int8.preprocess)


def _class_picture(mix: Mix, sample: np.ndarray) -> dict[str, bytes]:
    """The classes of the patches of a calibration picture, drawn over it, where there are classes and it is one."""
    is_picture = sample.dtype == np.uint8 and sample.ndim == 3 and sample.shape[2] in (1, 3)
    if mix.branches is None or not is_picture:
        return {}
    return {CLASS_PICTURE: class_map.draw(class_map.ClassMap(mix.outliers[0]), sample)}


def sized_graph(model: Model) -> Graph:
    """The integer graph that a build would have, for its sizes alone: float maps get the nominal range [-1, 1]."""
    return nominal_graph(model.graph)


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


def _goldens(
    interpreter: Interpreter | BranchInterpreter, graph: Graph, dataset: Dataset | None, preprocess: Preprocess | None
) -> tuple[Golden, ...]:
    """Golden vectors of the user's first pictures, or of reproducible noise where there are none."""
    shapes = [graph.tensors[port.tensor].shape for port in graph.inputs]
    if dataset is not None and len(shapes) == 1:
        samples = next(dataset.batches(GOLDENS, limit=GOLDENS)).data
        inputs = [calibrate.quantized_inputs(graph, samples, preprocess)]
    else:
        generator = np.random.default_rng(0)
        inputs = [generator.integers(-128, 128, (GOLDENS, *shape[1:])).astype(np.int8) for shape in shapes]
    names = [port.tensor for port in graph.inputs]
    outputs = interpreter.run(dict(zip(names, inputs, strict=True)))
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


def _already_quantized(model: Model) -> QmkitError:
    return QmkitError(
        "already-quantized",
        f"{model.path.name} is a {model.kind.value} model, whose widths are given",
        why="narrower widths are chosen from the float network's values and weights",
        hint="--bits 8, or build from the float model",
    )


def _several_inputs(model: Model) -> QmkitError:
    return QmkitError(
        "several-inputs",
        f"{model.path.name} is a {model.kind.value} model with {len(model.graph.inputs)} inputs",
        why="calibration samples are those of one input; nothing says which samples of two inputs belong together",
        hint="a network of several inputs that is quantized to int8 already builds as it is",
    )
