"""From the student to every file that ships: ONNX in each precision, quantised in each dialect, engines built."""

from pathlib import Path

from edgefair.data import Examples
from edgefair.data.calibration import calibration_images, calibration_rows
from edgefair.files import digest, write_bytes, write_record
from edgefair.log import Log
from edgefair.pipeline.records import Export
from edgefair.recipe import Recipe
from edgefair.runtimes import Built, manifest, runtime_class
from edgefair.runtimes.records import ManifestEntry
from edgefair.runtimes.targets import TARGETS


def make_artefacts(
    recipe: Recipe, examples: Examples, student: Path, folder: Path, builds: list[tuple[str, str]], log: Log
) -> None:
    """Write the file of every (target, precision) pair, manifest.json and export.json into `folder`."""
    (folder / manifest.NAME).unlink(missing_ok=True)  # the new files are not those that an earlier one lists
    images, cells = calibration_images(recipe, examples)
    sources, report = _sources(recipe, examples, student, folder, images, cells, builds, log)
    entries = []
    for target, precision in builds:
        log.line(f"building {precision} for {target}")
        runtime = runtime_class(TARGETS[target].runtime)
        source = sources[file_name(target, precision)]
        built = runtime.build(source, folder, f"student.{precision}.{target}", recipe.deploy)
        entries += [built_entry(one, target, precision) for one in built]
    manifest.write(folder, entries)
    rows, _, short = calibration_rows(recipe, examples)
    ids = examples.ids[rows].tolist()
    report["calibration"] = {
        "method": next((facts["method"] for facts in report["quantised"].values()), recipe.quantize.method),
        "rows": len(ids),
        "ids_sha256": digest(ids),
        "ids": ids,
        "short_cells": short,
    }
    write_bytes(folder / "null.txt", str(len(examples.class_names)).encode())
    write_record(folder / "export.json", Export, report)


def file_name(target: str, precision: str) -> str:
    """The ONNX file that a target's artefact of this precision is made from; some targets share one."""
    if precision == "fp32":
        return "student.onnx"
    return "student.int8." + TARGETS[target].dialect + ".onnx" if precision == "int8" else f"student.{precision}.onnx"


def _sources(recipe, examples, student, folder, images, cells, builds, log: Log) -> tuple[dict[str, Path], dict]:
    """Every ONNX file that the builds need, by name, and what was found while making them."""
    from edgefair.export.onnx_export import export_onnx
    from edgefair.export.quantization import quantize
    from edgefair.models import create

    names = {"class_names": list(examples.class_names), "group_names": list(examples.group_names)}
    model = create(f"file:{student}", len(examples.class_names), 0)
    paths = {name: folder / name for name in ["student.onnx", *(file_name(*pair) for pair in builds)]}
    source = paths["student.onnx"]
    report = export_onnx(model, images, recipe.export, source, names) | {"quantised": {}}
    for name, path in paths.items():
        if name == "student.fp16.onnx":
            report["fp16"] = export_onnx(model, images, recipe.export, path, names, "fp16")
        elif dialect := dialect_of(name):
            facts = quantize(source, path, images, dialect, recipe.quantize, cells)
            report["quantised"][name] = facts
            for tensor, reason in facts["fallback"].items():
                log.line(f"{name}: range of {tensor}: {reason}")
    return paths, report


def dialect_of(name: str) -> str:
    """The dialect that a quantised file's name stands for; "" for other files."""
    if name == "student.fp8.onnx":
        return "fp8"
    return name.removeprefix("student.int8.").removesuffix(".onnx") if name.startswith("student.int8.") else ""


def built_entry(built: Built, target: str, precision: str) -> ManifestEntry:
    """The manifest's entry; an engine for single images is an artefact of its own, with a verdict of its own."""
    blocked = runtime_class(TARGETS[target].runtime).run_unavailable_reason()
    name = f"{target}-{precision}" + (f"-b{built.batch}" if built.batch else "")
    runtime = TARGETS[target].runtime
    return manifest.entry(
        name, built.path, target, runtime, precision, batch=built.batch, blocked=blocked, facts=built.facts
    )
