"""Run folders that hold a report.json of the real shape and nothing else, with so many wrong predictions a group."""

import numpy as np

from edgefair.files import write_record
from edgefair.recipe import parse
from edgefair.report.records import Report
from tests.helpers.report_data import entry, make_report, predictions

CLASSES, GROUPS = ("cat", "dog", "cow"), ("warm", "cool")
ARTEFACTS = ("teacher", "student", "ort-cpu-int8")


def report_run(folder, seed: int, wrong=(0.1, 0.3), about=None, artefacts=ARTEFACTS, **recipe):
    """A finished run's report.json, with so many wrong predictions in each group; returns the folder."""
    names = {"class_names": CLASSES, "group_names": GROUPS, **(about or {})}
    made = []
    for i, name in enumerate(artefacts):
        p = predictions(name, names["class_names"], names["group_names"], per_cell=60, wrong=0)
        rng = np.random.default_rng((seed, i))
        flip = rng.random(len(p.labels)) < np.resize(wrong, len(names["group_names"]))[p.groups]
        p.logits[flip] = np.roll(p.logits[flip], 1, axis=1)
        made.append(entry(p))
    report = make_report(CLASSES, GROUPS) | {
        "recipe": parse({"seed": seed, **recipe}).model_dump(mode="json"),
        "data": names,
        "artefacts": made,
    }
    write_record(folder / "report.json", Report, report)
    return folder
