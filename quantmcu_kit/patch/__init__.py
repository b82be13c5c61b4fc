"""Patch-based inference: which parts of a network run patch by patch, and what each patch computes."""
