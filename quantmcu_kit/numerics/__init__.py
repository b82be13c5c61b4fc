"""Integer arithmetic shared by every operator: the twin of ``platformio_lib/src/quantmcu/core``."""
