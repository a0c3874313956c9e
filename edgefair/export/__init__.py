"""From a trained student to files: the ONNX graph, its quantised forms, and which operators of them stay in float."""
