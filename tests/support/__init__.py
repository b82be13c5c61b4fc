"""What tests share: a writer of .tflite files and TFLite's own kernels as the reference."""
