"""A run folder of artefacts whose predictions are made up."""

from dataclasses import replace

import numpy as np

from edgefair.files import sha256, write_bytes, write_json
from edgefair.runtimes import manifest
from tests.helpers.gate_cases import changed, example
from tests.helpers.recipes import tiny
from tests.helpers.run_records import write_latency

RECIPE = tiny(gate__mean_drift_points=3.0)


def make_run(folder, latency_ms=1.0):
    """A run folder as the main job leaves it, of artefacts whose predictions are made up."""
    reference = example(cell_rows=500)
    hurt = np.flatnonzero((reference.groups == 1) & (reference.predicted == reference.labels))[::4]
    files = {
        "teacher": ("teacher", "teacher.safetensors", reference),
        "student": ("student", "student.safetensors", reference),
        "ort-cpu-fp32": ("artefacts", "student.onnx", reference),
        "ort-cpu-int8": ("artefacts", "student.int8.onnx", changed(reference, hurt, (reference.labels[hurt] + 1) % 4)),
        "null": ("artefacts", "null.txt", changed(reference, slice(None), 0)),
    }
    write_bytes(folder / "recipe.toml", RECIPE.to_toml().encode())
    hashes = {}
    for name, (stage, file, made) in files.items():
        write_bytes(folder / stage / file, name.encode())
        hashes[name] = sha256(folder / stage / file)
        about = {"artefact": name, "file": file, "sha256": hashes[name], "bytes": 2_000_000, "runtime": "made up"}
        about |= {"version": "1", "machine": {"processor": "chip & <co>", "system": "Linux"}}
        replace(made, about=about).save(folder / "predictions" / f"{name}.npz")
    entries = [
        manifest.entry(name, folder / "artefacts" / files[name][1], "ort-cpu", "ort", name[-4:])
        for name in ("ort-cpu-fp32", "ort-cpu-int8")
    ]
    manifest.write(folder / "artefacts", entries)
    times = {name: {"1": {"p50_ms": latency_ms / 2, "p90_ms": latency_ms}} for name in files}
    write_latency(folder / "latency" / "latency.json", times)
    for stage in ("teacher", "student", "artefacts", "predictions", "latency"):
        kept = {path.name: sha256(path) for path in (folder / stage).iterdir()}
        write_json(folder / stage / "stage.json", {"finished": True, "made_from": hashes, "files": kept})
    return folder
