"""gruspec's onnx adapter."""
