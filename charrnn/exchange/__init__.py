"""Models to torch, ONNX and Keras, and from torch. onnx lives here only."""
