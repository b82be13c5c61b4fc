"""Emulated boards: cross-compile, run with the board's memory map, count cycles."""
