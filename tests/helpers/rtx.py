"""TensorRT-RTX's own verdict on an ONNX file: its parser and builder need no GPU."""

import pytest


class Builds:
    """rejects: the parser has errors, or the builder makes nothing; misreads: it warns that uint8 becomes int8."""

    def __init__(self):
        self.trt = trt = pytest.importorskip("tensorrt_rtx")

        class Logger(trt.ILogger):
            def __init__(self):
                trt.ILogger.__init__(self)
                self.lines = []

            def log(self, severity, text):
                if severity <= trt.ILogger.Severity.WARNING:
                    self.lines.append(text)

        self.logger = Logger()
        self.builder = trt.Builder(self.logger)

    def verdict(self, path, build: bool) -> str:
        self.logger.lines.clear()
        network = self.builder.create_network(1 << int(self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = self.trt.OnnxParser(network, self.logger)
        if not parser.parse_from_file(str(path)):
            return "rejects"
        if build and self._build(network) is None:
            return "rejects"
        return "misreads" if any("UINT8" in line for line in self.logger.lines) else "clean"

    def _build(self, network):
        config, profile = self.builder.create_builder_config(), self.builder.create_optimization_profile()
        shape = (1, *tuple(network.get_input(0).shape)[1:])
        profile.set_shape(network.get_input(0).name, shape, shape, shape)
        config.add_optimization_profile(profile)
        return self.builder.build_serialized_network(network, config)
