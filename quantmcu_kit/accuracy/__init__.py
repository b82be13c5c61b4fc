"""Accuracy at low precision, by training on calibration pictures without labels. Needs torch, the extra ``accuracy``.

Importing this package does not need it: :func:`reconstruct` says what is missing.
"""

from quantmcu_kit.accuracy.refine import FEEDBACK_PICTURES, Fitted, refine, spread
from quantmcu_kit.accuracy.settings import Settings, TuneSettings
from quantmcu_kit.accuracy.start import check_torch, distil, reconstruct
from quantmcu_kit.accuracy.tune import LEAST_SAMPLES, Samples, Tuning, tune
from quantmcu_kit.accuracy.tuned import SUFFIX, Tuned, check_writable, read, sha256_of, tuned_of, write

__all__ = [
    "FEEDBACK_PICTURES",
    "Fitted",
    "LEAST_SAMPLES",
    "SUFFIX",
    "Samples",
    "Settings",
    "TuneSettings",
    "Tuned",
    "Tuning",
    "check_torch",
    "check_writable",
    "distil",
    "read",
    "reconstruct",
    "refine",
    "sha256_of",
    "spread",
    "tune",
    "tuned_of",
    "write",
]
