"""Calibration: the user's pictures, their normalisation, the float reference and what it shows of every feature map."""

from quantmcu_kit.calibrate.dataset import Batch, Dataset, open_dataset
from quantmcu_kit.calibrate.inputs import quantized_inputs, runtime_inputs
from quantmcu_kit.calibrate.observe import Progress, observe
from quantmcu_kit.calibrate.preprocess import resolve_preprocess
from quantmcu_kit.calibrate.runtime import FloatReference

__all__ = [
    "Batch",
    "Dataset",
    "FloatReference",
    "Progress",
    "observe",
    "open_dataset",
    "quantized_inputs",
    "resolve_preprocess",
    "runtime_inputs",
]
