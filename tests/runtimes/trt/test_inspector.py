"""The engine inspector's JSON, as TensorRT 10 and 11 write it."""

import json

import pytest

from edgefair.errors import ArtefactError
from edgefair.runtimes.trt.inspector import check_precision, engine_summary

INT8 = "Thirty-two wide channel vectorized row major Int8 format"
HALF = "Two wide channel vectorized row major FP16 format"
LAYERS = [  # name, type, datatype of the input, of the output
    ("Reformatting CopyNode for images", "Reformat", "Row major linear UInt8 format", HALF),
    ("relu_QuantizeLinear", "Quantize", HALF, INT8),
    ("conv_1 + relu", "CaskConvolution", INT8, INT8),
    ("conv_2", "CaskConvolution", INT8, "Row major linear FP32"),
    ("mean", "Reduce", "Row major linear FP32", "Row major linear FP32"),
    ("head", "gemm", "Row major linear BF16", "Float"),
]


def inspected(split: bool, layers=LAYERS) -> str:
    """What get_engine_information returns; TensorRT 11 splits format and datatype and lists tensors as objects."""

    def end(name, text):
        words = ("Int8", "FP16", "FP32", "BF16", "UInt8", "Float")
        kind = next(word for word in words if word in text)
        both = {"Format": text.replace(kind, "").strip(), "Datatype": kind} if split else {"Format/Datatype": text}
        return {"Name": name, "Location": "Device", "Dimensions": [1, 3, 4, 4], **both}

    rows = [
        {"Name": name, "LayerType": kind, "Inputs": [end("a", source)], "Outputs": [end("b", result)]}
        for name, kind, source, result in layers
    ]
    ends = {"I/O Tensors": [{"Name": "images", "IOMode": "Input"}]} if split else {"Bindings": ["images", "logits"]}
    return json.dumps({"Layers": rows, **ends})


@pytest.mark.parametrize("split", [False, True], ids=["10", "11"])
def test_layers_are_counted_by_what_they_read(split):
    assert engine_summary(inspected(split)) == {
        "source": "engine",
        "layers": 5,  # copies do not count
        "share": {"bf16": 0.2, "fp16": 0.2, "fp32": 0.2, "int8": 0.4},
        "products": {"bf16": 1, "int8": 2},
        "quantised": [],
        "opaque": 0,
    }


@pytest.mark.parametrize("split", [False, True], ids=["10", "11"])
def test_quantising_for_products_in_float_is_no_int8_engine(split):
    silent = [(*layer[:2], HALF if "conv" in layer[0] else layer[2], layer[3]) for layer in LAYERS]
    with pytest.raises(ArtefactError, match=r"int8, but no layer of the engine does: \{'bf16': 1, 'fp16': 2\}"):
        check_precision(engine_summary(inspected(split, silent)), "student.int8.tensorrt.engine")
    check_precision(engine_summary(inspected(split)), "student.int8.tensorrt.engine")


def test_layers_that_hide_their_inside_are_counted_apart():
    hidden = [("{ForeignNode[conv_1...head]}", "Myelin", "Row major linear FP32", "Row major linear FP32")]
    summary = engine_summary(inspected(False, hidden))
    assert (summary["layers"], summary["opaque"], summary["share"]) == (0, 1, {})
    check_precision(summary, "student.int8.tensorrt.engine")


def test_an_engine_without_details_is_refused():
    with pytest.raises(ArtefactError, match="without details"):
        engine_summary(json.dumps({"Layers": ["conv_1 + relu"], "Bindings": ["images"]}))
