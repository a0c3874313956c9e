"""A network of two planted operators, small enough to read: each loses, in eight bits, what one group is told apart by.

Pixels are [B, 3, 4, 4]; channel 0 tells the classes of group "many" apart, channel 1 those of group "few". An output
channel with one weight of 100 has int8 steps of 0.79, so a weight under 0.39 beside it is rounded away.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from edgefair.export.mixed_precision.ranking_rows import RankingRows

MANY, FEW = "hurts_many", "hurts_few"
CLASSES, GROUPS = ("no", "yes"), ("many", "few")
GREY = 150


def write_planted(path, many: float = 0.2, few: float = 0.3) -> None:
    """images -> / 255 - grey -> Conv hurts_many -> Conv hurts_few -> Conv safe -> mean -> logits, every Conv 1x1."""
    weights = {
        MANY: [[many, 0, 100], [0, 1, 0], [0, 0, 1]],  # the third channel is always grey
        FEW: [[1, 0, 0], [0, few, 100], [0, 0, 1]],
        "safe": [[-1, -1, 0], [1, 1, 0]],
    }
    tensors = [
        numpy_helper.from_array(np.array(w, np.float32)[:, :, None, None], f"{n}.weight") for n, w in weights.items()
    ]
    tensors.append(numpy_helper.from_array(np.float32(1 / 255), "scale"))
    tensors.append(numpy_helper.from_array(np.float32(-GREY / 255), "shift"))
    tensors.append(numpy_helper.from_array(np.array([2, 3], np.int64), "axes"))
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"], "scaling"),
        helper.make_node("Add", ["scaled", "shift"], ["x"], "shifting"),
        helper.make_node("Conv", ["x", f"{MANY}.weight"], ["a"], MANY),
        helper.make_node("Conv", ["a", f"{FEW}.weight"], ["b"], FEW),
        helper.make_node("Conv", ["b", "safe.weight"], ["c"], "safe"),
        helper.make_node("ReduceMean", ["c", "axes"], ["logits"], "mean", keepdims=0),
    ]
    ends = [
        helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 3, 4, 4]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]),
    ]
    graph = helper.make_graph(nodes, "planted", ends[:1], ends[1:], tensors)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def planted_rows(logits, few: int = 20, rows: int = 200) -> RankingRows:
    """Rows of which the last `few` are of the small group; `logits` maps images to the float network's."""
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 2, rows), (np.arange(rows) >= rows - few).astype(int)
    images = np.full((rows, 3, 4, 4), GREY, np.uint8)
    images[np.arange(rows), groups] = (100 + 100 * labels + rng.integers(-20, 20, rows))[:, None, None]
    ids = np.array([f"r{i}" for i in range(rows)])
    columns = {"ids": ids, "labels": labels, "groups": groups, "class_names": CLASSES, "group_names": GROUPS}
    return RankingRows(**columns, images=images, reference=logits(images))
