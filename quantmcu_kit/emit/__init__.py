"""Integer graph and plans -> the files of a C library, and one atomic write."""

from quantmcu_kit.emit.interface import class_count
from quantmcu_kit.emit.library import write
from quantmcu_kit.emit.render import render

__all__ = ["class_count", "render", "write"]
