"""Recipes that run in seconds."""

from edgefair.recipe import Recipe, assign, parse

TINY = {
    "data.train_rows": 400,
    "data.meta_rows": 20,
    "data.validation_rows": 100,
    "data.calibration_rows": 100,
    "data.gate_rows": 200,
    "teacher.spec": "cifar:resnet8",
    "teacher.epochs": 2,
    "train.epochs": 2,
    "train.batch_size": 50,
    "teacher.batch_size": 50,
    "quantize.rows_per_cell": 2,
    "deploy.targets": ["ort-cpu"],
    "bench.repeats": 20,
    "bench.batches": [1, 4],
    "bench.warmup": 2,
    "gate.replicates": 200,
}


def tiny(**changes) -> Recipe:
    """A recipe that runs in seconds; dots in names are written as double underscores."""
    values: dict = {}
    rendered = changes.get("data__name", "trifeature") == "trifeature"
    usual = {name: value for name, value in TINY.items() if rendered or not name.startswith("data.")}
    for name, value in {**usual, **{k.replace("__", "."): v for k, v in changes.items()}}.items():
        assign(values, name, value)
    return parse(values)
