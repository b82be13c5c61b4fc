"""The static arena: which blocks live when, and where each is placed."""

from quantmcu_kit.memory.plan import bytes_alive, plan

__all__ = ["bytes_alive", "plan"]
