"""Cores other than Cortex-M and the PC's own, on which the portable C must compute the same bytes."""
