"""A generated library, compiled for the host and held against the integer reference."""

from quantmcu_kit.verify.compare import Difference, VerifyResult, verify_library
from quantmcu_kit.verify.host import HostLibrary

__all__ = ["Difference", "HostLibrary", "VerifyResult", "verify_library"]
