"""A teacher that is an ONNX file, run by ONNX Runtime: logits and features without gradients."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgefair.errors import ArtefactError, require
from edgefair.models.backbone import Backbone
from edgefair.predictions import batches
from edgefair.tensors import Output

LINEAR = ("Gemm", "MatMul")
PASSING = ("Add", "Identity", "Cast", "DequantizeLinear", "QuantizeLinear", "Flatten", "Reshape", "Squeeze")


class OnnxBackbone(Backbone):
    """The file's bytes as a buffer, so that weights written as safetensors hold the teacher whole.

    Takes uint8 images, or floats in 0 .. 1 with mean and standard deviation taken off (`options`). Raises ArtefactError
    where input, logits or features are not what a teacher needs.
    """

    no_maps = "a teacher from an ONNX file gives logits and features, not the maps of its stages"

    def __init__(self, content: bytes, num_classes: int, options: dict, name: str):
        super().__init__()
        self.name, self.num_classes = name, num_classes
        self.register_buffer("content", torch.frombuffer(bytearray(content), dtype=torch.uint8))
        graph = self._graph(content)
        logits = options.get("logits_output") or self._logits(graph)
        features = options.get("features_output") or self._features(graph, logits)
        self.outputs = [logits, features]
        self.options = {**options, "logits_output": logits, "features_output": features}
        self.session = self._session(graph, features)
        self._check_input()

    def forward(self, x: Tensor, all_maps: bool = False) -> Output:
        images = x.detach().cpu().numpy()
        if self.input.type == "tensor(float)":
            mean, std = (np.float32(self.options[key])[:, None, None] for key in ("mean", "std"))
            images = (images.astype(np.float32) / 255 - mean) / std
        fixed = self.input.shape[0] if isinstance(self.input.shape[0], int) else 0
        logits, features = self._run(np.ascontiguousarray(images), fixed)
        return Output(torch.from_numpy(logits).to(x.device), torch.from_numpy(features).to(x.device))

    def map_names(self, all_maps: bool = False) -> tuple[str, ...]:
        return ()

    def heads(self) -> tuple[nn.Module, ...]:
        return ()

    def _run(self, images: np.ndarray, fixed: int) -> list[np.ndarray]:
        """All outputs for all images, in batches of the one size that the file takes, filled up with the first row."""
        size = fixed or len(images)
        parts = []
        for rows in batches(len(images), size):
            part = images[rows]
            filled = np.concatenate([part, np.repeat(part[:1], size - len(part), 0)]) if len(part) < size else part
            parts.append([out[: len(part)] for out in self.session.run(self.outputs, {self.input.name: filled})])
        found = [np.concatenate(column).astype(np.float32) for column in zip(*parts, strict=True)]
        for name, out, width in zip(self.outputs, found, (self.num_classes, None), strict=True):
            if out.ndim != 2 or (width and out.shape[1] != width):
                raise self._wrong(f"its output '{name}' is {list(out.shape)}; [rows, {width or 'width'}] is needed")
        return found

    def _wrong(self, what: str) -> ArtefactError:
        return ArtefactError(f"the ONNX teacher {self.name} cannot be used: {what}.")

    def _graph(self, content: bytes):
        onnx = require("onnx", "train", "a teacher from an ONNX file")
        try:
            return onnx.load_from_string(content)
        except Exception as error:  # protobuf's own class, which is not public
            raise self._wrong(f"it is no ONNX file ({error})") from error

    def _logits(self, model) -> str:
        def columns(output) -> int:
            dims = output.type.tensor_type.shape.dim
            return dims[1].dim_value if len(dims) == 2 else 0

        names = [output.name for output in model.graph.output if columns(output) == self.num_classes]
        if len(names) != 1:
            shown = ", ".join(f"{output.name} ({columns(output) or 'any'} columns)" for output in model.graph.output)
            if all(columns(output) for output in model.graph.output) and not names:
                raise self._wrong(
                    f"none of its outputs has {self.num_classes} columns, as many as the data has classes: {shown}; "
                    "give a teacher of the same classes"
                )
            raise self._wrong(
                f"{len(names)} of its outputs have {self.num_classes} columns, as many as there are classes ({shown}); "
                "set teacher.logits_output to the one that holds the logits"
            )
        return names[0]

    def _features(self, model, logits: str) -> str:
        """What the last linear layer reads: back from the logits over what does not mix columns."""
        made_by = {name: node for node in model.graph.node for name in node.output}
        constant = {tensor.name for tensor in model.graph.initializer}
        for node in model.graph.node:  # in the order of execution; a quantised weight is made from constants
            if all(source in constant for source in node.input if source):
                constant.update(node.output)
        name = logits
        while name in made_by:
            node = made_by[name]
            inputs = [source for source in node.input if source and source not in constant]
            if len(inputs) != 1 or node.op_type not in (*LINEAR, *PASSING):
                break
            if node.op_type in LINEAR:
                return inputs[0]
            name = inputs[0]
        raise self._wrong(
            "no linear layer makes its logits, so its penultimate features cannot be found; set "
            "teacher.features_output to the name of a tensor [rows, width]"
        )

    def _session(self, model, features: str):
        ort = require("onnxruntime", "onnx", "a teacher from an ONNX file")
        if features not in {output.name for output in model.graph.output}:
            onnx = require("onnx", "train", "a teacher from an ONNX file")
            model.graph.output.append(onnx.ValueInfoProto(name=features))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        try:
            return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's exception classes share no public base
            raise self._wrong(f"ONNX Runtime refuses it ({error})") from error

    def _check_input(self) -> None:
        inputs = self.session.get_inputs()
        self.input = inputs[0]
        if len(inputs) != 1 or self.input.type not in ("tensor(uint8)", "tensor(float)") or len(self.input.shape) != 4:
            shown = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise self._wrong(f"it takes {shown}; one input of images [rows, 3, side, side] is needed, uint8 or float")
        if self.input.type == "tensor(float)" and not all(len(self.options.get(k) or ()) == 3 for k in ("mean", "std")):
            raise self._wrong(
                "it takes floats, and nothing says how pixels are scaled; set teacher.input_mean and teacher.input_std "
                "to three numbers each, for pixels in 0 .. 1 (0 and 1 take them as they are)"
            )


def read(path: Path) -> bytes:
    """The file's bytes; raises ArtefactError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read the ONNX teacher {path}: {error.strerror}.") from error
