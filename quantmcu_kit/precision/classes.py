"""VDPC on calibration pictures: rules that decide which patches of a stage are outliers.

``gaussian`` is the paper's rule: a patch that reads a value outside the central mass φ of a Gaussian fitted to the
stage's input is an outlier, and stays at 8 bits. ``error`` looks for harm: by position (static) the patches whose
narrowing moves the network's output most, as measured; by picture (dynamic) those whose input 4 bits round worst. The
widths of both classes are searched then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantmcu_kit.ir.branches import MOST_SCORE, Scan, StaticClasses, inner_maps, may_have_classes
from quantmcu_kit.ir.plans import MIXED, OUTLIER, Calibration
from quantmcu_kit.ir.schedule import Patches, Schedule
from quantmcu_kit.ops.branches import scanned_outliers
from quantmcu_kit.precision.owners import Owners
from quantmcu_kit.precision.sensitivity import FEW_PICTURES, Sensitivity
from quantmcu_kit.precision.settings import Settings
from quantmcu_kit.quantize.ranges import choose_range
from quantmcu_kit.search.problem import Choice, Kind
from quantmcu_kit.search.vdpc import central_threshold, fit_statistics, rounded, static_outliers

_USUAL_SHARE = 0.5  # of the pictures: a position that is an outlier in more of them is one (static)
_OUTLIER_SHARE = 0.5  # of the patches, by harm
_CANDIDATE_BITS = 4
_VALUES = 256


@dataclass(frozen=True, eq=False)
class Candidate:
    """A rule, and what it says of the calibration pictures.

    Attributes:
        stage: index in the schedule.
        outliers: bool [n, row steps, column steps].
    """

    stage: int
    rule: Scan | StaticClasses
    outliers: np.ndarray
    name: str

    @property
    def owners(self) -> Owners:
        """The classes of the pictures' patches."""
        return Owners(np.where(self.outliers, OUTLIER, MIXED))


def stage_of_classes(schedule: Schedule) -> int | None:
    """The stage whose patches may have classes: the first that keeps nothing within tiles and has maps inside."""
    for index, stage in enumerate(schedule.stages):
        patches = stage.patches
        if patches is not None and may_have_classes(patches) and inner_maps(patches):
            return index
    return None


def candidate(
    schedule: Schedule, calibration: Calibration, sensitivity: Sensitivity, settings: Settings
) -> Candidate | None:
    """The classes that the settings ask for.

    ``auto`` takes what a rule is apt for: harm depends on the place, and hardly on the picture's values.

    Returns:
        None where nothing runs in patches that may have classes, and where all patches are of one class.
    """
    index = stage_of_classes(schedule)
    if index is None:
        return None
    patches = schedule.stages[index].patches
    by_picture = settings.vdpc == "dynamic" or (settings.vdpc == "auto" and settings.vdpc_rule == "gaussian")
    name = f"{'dynamic' if by_picture else 'static'} {settings.vdpc_rule}"
    if settings.vdpc_rule == "error" and not by_picture:
        is_outlier = most(harm_by_position(sensitivity, patches), _OUTLIER_SHARE)
    else:
        find_scan = gaussian_scan if settings.vdpc_rule == "gaussian" else error_scan
        scan = find_scan(calibration, sensitivity, patches, settings)
        found = scanned_outliers(scan, sensitivity.base_map(patches.input), patches)
        if by_picture:
            return _mixture(Candidate(index, scan, found, name))
        is_outlier = static_outliers(found, _USUAL_SHARE)
    names = tuple(tuple(OUTLIER if each else MIXED for each in row) for row in is_outlier)
    found = np.broadcast_to(is_outlier, (sensitivity.pictures, *is_outlier.shape))
    return _mixture(Candidate(index, StaticClasses(names), found, name))


def _mixture(each: Candidate) -> Candidate | None:
    return each if each.outliers.any() and not each.outliers.all() else None


def gaussian_scan(calibration: Calibration, sensitivity: Sensitivity, patches: Patches, settings: Settings) -> Scan:
    """One value outside the central mass φ makes an outlier."""
    gaussian = fit_statistics(calibration.tensors[patches.input])
    distance = np.abs(_real_values(sensitivity, patches) - gaussian.mean)
    return Scan((distance > central_threshold(settings.phi) * gaussian.std).astype(np.uint16), 0)


def error_scan(calibration: Calibration, sensitivity: Sensitivity, patches: Patches, settings: Settings) -> Scan:
    """The patches of most squared error, rounded to 4 bits, are outliers: half of all, on the calibration pictures."""
    low, high = choose_range(calibration.tensors[patches.input], "mse", _CANDIDATE_BITS)
    values = _real_values(sensitivity, patches)
    errors = (values - rounded(values, low, high, _CANDIDATE_BITS)) ** 2
    return scan_of_share(errors, sensitivity.base_map(patches.input), patches, _OUTLIER_SHARE)


def scan_of_share(scores: np.ndarray, maps: np.ndarray, patches: Patches, share: float) -> Scan:
    """The scan by some scores of values, float [256] ≥ 0, that calls about a share of all patches outliers.

    The limit is found by bisection on the calibration pictures.
    """
    peak = scores.max()
    pixels = patches.maps[0].needed
    most_score = min(MOST_SCORE, ((1 << 32) - 1) // (pixels.h * pixels.w * maps.shape[3]))
    table = np.rint(scores * (most_score / peak if peak > 0 else 0.0)).astype(np.uint16)
    low, high = 0, most_score
    while low < high:
        middle = (low + high) // 2
        if scanned_outliers(Scan(table, middle), maps, patches).mean() > share:
            low = middle + 1
        else:
            high = middle
    return Scan(table, low)


def harm_by_position(sensitivity: Sensitivity, patches: Patches) -> np.ndarray:
    """float64 [row steps, column steps]: how far the output moves when the stage's inner maps have 4 bits there."""
    inner = sensitivity.inner_in_order(patches)
    shape = (patches.row_steps, patches.column_steps)
    narrow = {Choice(Kind.MAP, MIXED, (name,), 1, 1, (_CANDIDATE_BITS,)): _CANDIDATE_BITS for name in inner}
    harm = np.zeros(shape)
    for position in np.ndindex(shape):
        classes = np.full((sensitivity.pictures, *shape), OUTLIER)
        classes[:, position[0], position[1]] = MIXED
        sensitivity.set_classes(Owners(classes), {})
        harm[position] = sensitivity.divergences(narrow, 2 * FEW_PICTURES).mean()
    sensitivity.set_classes(None, {})
    return harm


def most(harm: np.ndarray, share: float) -> np.ndarray:
    """bool like ``harm``: the share of all that has most of it."""
    count = round(harm.size * share)
    order = np.argsort(-harm, axis=None, kind="stable")
    found = np.zeros(harm.size, bool)
    found[order[:count]] = True
    return found.reshape(harm.shape)


def _real_values(sensitivity: Sensitivity, patches: Patches) -> np.ndarray:
    """Real value of each int8 value of the stage's input, by its bits."""
    quant = sensitivity.base.tensors[patches.input].quant
    return quant.dequantize(np.arange(_VALUES, dtype=np.uint8).view(np.int8)).astype(np.float64)
