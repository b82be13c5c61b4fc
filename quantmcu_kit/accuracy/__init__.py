"""Accuracy at low precision, by training on calibration pictures without labels. Needs torch, the extra ``accuracy``.

Importing this package does not need it: :func:`reconstruct` says what is missing.
"""

from quantmcu_kit.accuracy.refine import FEEDBACK_PICTURES, refine
from quantmcu_kit.accuracy.settings import Settings
from quantmcu_kit.accuracy.start import check_torch, distil, reconstruct

__all__ = ["FEEDBACK_PICTURES", "Settings", "check_torch", "distil", "reconstruct", "refine"]
