"""Models to and from other tools: torch, ONNX, Keras."""
