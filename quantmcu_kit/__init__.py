"""QuantMCU Kit: a pretrained .tflite network in, a self-contained microcontroller C library out."""

__version__ = "0.1.0"
