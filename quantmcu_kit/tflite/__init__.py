"""Import of .tflite files: bytes -> ir.Graph. The file is never trusted."""

from quantmcu_kit.tflite.importer import load
from quantmcu_kit.tflite.kinds import ModelKind, classify
from quantmcu_kit.tflite.support import SupportedOp, supported_ops

__all__ = ["ModelKind", "SupportedOp", "classify", "load", "supported_ops"]
