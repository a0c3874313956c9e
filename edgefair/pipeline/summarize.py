"""Several seeds of one recipe: mean, interval and range of each metric, and tests against the runs of another recipe.

Everything is read from the report.json of finished run folders. A word such as "fairer" stands only where its test
supports it: p below 0.05 after Holm's correction over the metrics of an artefact.
"""

import math
from pathlib import Path

import numpy as np

from edgefair.errors import RecipeError, RunFolderError
from edgefair.files import digest, flat, read_values
from edgefair.metrics.fairness_claim import NO_WORD
from edgefair.metrics.hypothesis_tests import class_bias as class_bias_test
from edgefair.metrics.hypothesis_tests import holm, mean_test
from edgefair.metrics.intervals import t_half_width
from edgefair.report.records import Report

# metric: (where it stands in a report, what more of it is called, what less of it is called)
HEADLINES = {
    "accuracy": ("scores", "more accurate", "less accurate"),
    "macro_f1": ("scores", "better", "worse"),
    "auroc": ("scores", "better", "worse"),
    "mean_abs_disparity": ("disparities", "less fair", "fairer"),
    "deo_max": ("disparities", "less fair", "fairer"),
}
LEVEL = 0.05
FREE = ("seed", "data.path")  # what may differ between the seeds of one recipe; so may the path of a network's file


def load_runs(folders: list[Path]) -> list[dict]:
    """The reports of runs that differ in their seed only, by seed; raises where they are missing or do not fit.

    RunFolderError: a folder without a readable report. RecipeError: settings differ, or a seed stands twice.
    """
    reports = sorted((read_report(Path(folder)) for folder in folders), key=lambda report: report["recipe"]["seed"])
    first = settings_of(reports[0])
    for report in reports[1:]:
        other = settings_of(report)
        if digest(other) != digest(first):
            differing = [
                f"{n}: {first.get(n)} and {other.get(n)}" for n in sorted(first | other) if first.get(n) != other.get(n)
            ]
            raise RecipeError(
                f"{report['folder']} is not another seed of {reports[0]['folder']}:\n  " + "\n  ".join(differing) + "\n"
                "Runs that are summarised together differ in their seed only; give each of the others to an --against "
                "of its own: --against RUN --against RUN."
            )
    seeds = [report["recipe"]["seed"] for report in reports]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        raise RecipeError(f"seed {twice} stands in two of the runs: it would count twice. Give each seed once.")
    return reports


def summarize_runs(reports: list[dict]) -> dict:
    """{"seeds", "recipe", "artefacts": {artefact: {metric: {mean, interval, range, floor, n, undefined}}}}.

    mean +- t(0.975, n - 1) s / sqrt(n) over seeds; floor is the mean noise floor of a disparity. A metric that is
    undefined in a run is undefined in the mean (NaN), with the number of such runs.
    """
    names = [name for name in artefacts_of(reports[0]) if all(name in artefacts_of(report) for report in reports)]
    return {
        "seeds": [report["recipe"]["seed"] for report in reports],
        "recipe": digest(settings_of(reports[0])),
        "artefacts": {name: {metric: _spread(reports, name, metric) for metric in HEADLINES} for name in names},
    }


def compare_runs(ours: list[dict], theirs: list[dict]) -> dict:
    """Test every metric of every common artefact, ours minus theirs: paired by seed, or Welch where the seeds differ.

    {"test", "seeds": [ours, theirs],
     "artefacts": {artefact: {metric: {difference, interval, t, dof, p, p_holm, word}}}}
    Raises RecipeError where the two sides do not have the same classes and groups.
    """
    for what in ("class_names", "group_names"):
        if ours[0]["data"][what] != theirs[0]["data"][what]:
            raise RecipeError(
                f"the {what} differ: {ours[0]['data'][what]} in {ours[0]['folder']}, {theirs[0]['data'][what]} in "
                f"{theirs[0]['folder']}. Only runs on the same classes and groups can be compared."
            )
    seeds = [[report["recipe"]["seed"] for report in reports] for reports in (ours, theirs)]
    paired = seeds[0] == seeds[1]
    names = [name for name in artefacts_of(ours[0]) if all(name in artefacts_of(report) for report in ours + theirs)]
    compared = {}
    for name in names:
        tests = {m: mean_test(_values(ours, name, m), _values(theirs, name, m), paired)._asdict() for m in HEADLINES}
        adjusted = holm([test["p"] for test in tests.values()])
        for (metric, test), p in zip(tests.items(), adjusted.tolist(), strict=True):
            test |= {"p_holm": p, "word": _word(metric, test["difference"], p)}
        compared[name] = tests
    return {"test": "paired t-test by seed" if paired else "Welch's t-test", "seeds": seeds, "artefacts": compared}


def spread_of(values: np.ndarray) -> dict:
    """Mean, 95 % t-interval, range, n and count of undefined of one number over seeds [S]; NaN where undefined."""
    mean = float(values.mean())
    half = t_half_width(float(values.std(ddof=1)), len(values)) if len(values) > 1 else math.nan
    return {
        "mean": mean,
        "interval": [mean - half, mean + half],
        "range": [float(values.min()), float(values.max())],
        "n": len(values),
        "undefined": int(np.isnan(values).sum()),
        "values": values.tolist(),
    }


def class_bias(first: list[dict], first_name: str, second: list[dict], second_name: str) -> dict | None:
    """Mohammadshahi and Ioannou's test per class, second against first artefact; None under two seeds of either.

    first, second: reports of several seeds. first_name, second_name: the artefact of each that is meant.

    Welch's t-test over seeds of class accuracy over model accuracy: {"classes", "undefined", "raw", "holm", "named"},
    with the numbers of classes below 0.05 before and after Holm's correction, and the names of the latter.
    """
    if min(len(first), len(second)) < 2:
        return None
    sides = [_class_accuracy(reports, name) for reports, name in ((first, first_name), (second, second_name))]
    bias = class_bias_test(*sides[0], *sides[1], LEVEL)
    names = first[0]["data"]["class_names"]
    return {
        "classes": len(bias.holm_p),
        "undefined": bias.undefined_count,
        "raw": bias.raw_count,
        "holm": bias.holm_count,
        "named": [names[c] for c in np.flatnonzero(bias.holm_p < LEVEL)],
    }


def read_report(folder: Path) -> dict:
    """The report of a run folder as JSON values, with its folder; RunFolderError where there is no readable one."""
    file = folder / "report.json" if folder.is_dir() else folder
    remedy = "Give run folders that edgefair distill-and-export has finished."
    return read_values(file, Report, remedy, RunFolderError) | {"folder": str(folder)}


def settings_of(report: dict) -> dict:
    """What must be the same in all seeds of a recipe: all settings but the seed and paths, and the declared names."""
    fields = {name: value for name, value in flat(report["recipe"]).items() if name not in FREE}
    for name in ("teacher.spec", "student.spec"):
        fields[name] = "file" if str(fields[name]).startswith("file:") else fields[name]
    return fields | {name: report["data"][name] for name in ("class_names", "group_names")}


def artefacts_of(report: dict) -> dict[str, dict]:
    """The metrics of each artefact of a report but the null runtime's."""
    return {entry["artefact"]: entry["metrics"] for entry in report["artefacts"] if entry["runtime"] != "null"}


def _values(reports: list[dict], artefact: str, metric: str, what: str = "value") -> np.ndarray:
    values = [artefacts_of(report)[artefact][HEADLINES[metric][0]][metric][what] for report in reports]
    return np.array([math.nan if value is None else value for value in values])  # [S]


def _spread(reports: list[dict], artefact: str, metric: str) -> dict:
    values = _values(reports, artefact, metric)
    spread = spread_of(values)
    if HEADLINES[metric][0] == "disparities":
        spread["floor"] = float(_values(reports, artefact, metric, "floor").mean())
    return spread


def _word(metric: str, difference: float, p: float) -> str:
    """What the test allows to be said; NaN allows nothing."""
    _, more, less = HEADLINES[metric]
    return NO_WORD if not p < LEVEL else more if difference > 0 else less


def _class_accuracy(reports: list[dict], artefact: str) -> tuple[np.ndarray, np.ndarray]:
    """(class accuracy [S, C], model accuracy [S]) over rows of known group."""
    tables = np.array([np.asarray(artefacts_of(report)[artefact]["confusion"]).sum(axis=0) for report in reports])
    hits, rows = np.diagonal(tables, axis1=1, axis2=2), tables.sum(axis=2)  # [S, C] each
    rates = np.where(rows > 0, hits / np.maximum(rows, 1), np.nan)
    return rates, hits.sum(axis=1) / rows.sum(axis=1)
