"""The static arena: which blocks live when, and where each is placed."""

from quantmcu_kit.memory.plan import plan

__all__ = ["plan"]
