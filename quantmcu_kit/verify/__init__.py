"""A generated library, compiled for the host and for an emulated board, held against the integer reference."""

from quantmcu_kit.verify.board import BoardResult, verify_on_board
from quantmcu_kit.verify.compare import Difference, VerifyResult, verify_library
from quantmcu_kit.verify.host import HostLibrary

__all__ = ["BoardResult", "Difference", "HostLibrary", "VerifyResult", "verify_library", "verify_on_board"]
