"""What ``qmkit tune`` wrote, back in a build."""

from __future__ import annotations

import dataclasses

from quantmcu_kit import accuracy, passes, precision, quantize
from quantmcu_kit.accuracy import Tuned
from quantmcu_kit.boards.catalog import Board
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import Calibration
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.layout import Layout
from quantmcu_kit.mix import planned_again, quantize_settings
from quantmcu_kit.options import PREPROCESSES, Options
from quantmcu_kit.precision import Mix


def read_tuned(graph: Graph, model: bytes, options: Options) -> tuple[Tuned | None, Options]:
    """The tuned network that the options name, if they do; and the options, with pixels entering as they did when it
    was tuned, unless the user says how.

    Args:
        graph: of the file ``model``, float.

    Raises:
        QmkitError: ``bad-tuned-file``, ``other-model``.
    """
    if options.tuned is None:
        return None, options
    tuned = accuracy.read(options.tuned, model, graph)
    trained = tuned.preprocess
    if trained is None or options.preprocess is not None or options.normalisation is not None:
        return tuned, options
    if trained.name in PREPROCESSES:
        return tuned, dataclasses.replace(options, preprocess=trained.name)
    mean, std = (",".join(map(repr, values)) for values in (trained.mean, trained.std))
    return tuned, dataclasses.replace(options, mean=mean, std=std)


def mix_of_tuned(
    graph: Graph, calibration: Calibration, tuned: Tuned, board: Board, options: Options
) -> tuple[Mix, Layout]:
    """The widths and constants of a tuned network, laid out for a board. Calibration decides nothing.

    Raises:
        QmkitError: ``ram-budget``.
    """
    result = tuned.result
    integer = quantize.apply(graph, calibration, result.precision, quantize_settings(options), tuned.adjustments)
    integer = passes.remove_dead_channels(integer)
    attempt = precision.Attempt("off", tuned.after, tuned.after, result.bitops, trade_off=result.trade_off)
    mix = Mix(integer, None, Schedule.whole(integer), result, None, (attempt,), 0.0)
    return planned_again(graph, mix, board, options)
