"""All numbers of `edgefair frontier`, for page, CSV and LaTeX: points, the Pareto set, curves over lambda, teachers."""

from pathlib import Path

import numpy as np

from edgefair import __version__
from edgefair.files import digest
from edgefair.metrics.pareto import Seeds, pareto_set, ruled_out
from edgefair.pipeline.frontier.points import measured, objective
from edgefair.pipeline.frontier.runs import data_settings, load_sweep, point_settings

LEVEL = 0.05
NAMED = ("loss.name", "strategy.name", "strategy.lam", "class_names", "group_names")  # said in another way


def build_frontier(places: list[Path], artefact: str, lines: list[float]) -> dict:
    """The frontier of the runs below `places`; `lines` are the lambdas of the objective A - lambda * D.

    {"schema", "edgefair", "artefact", "lines", "left_out", "facets": [..]}: a facet is one data set, for accuracies on
    different rows are no points of one picture. Raises what `load_sweep` raises.
    """
    found = load_sweep(places, artefact)
    by_data = _grouped(found.reports, data_settings)
    shared = _varying([data_settings(reports[0]) for reports in by_data])
    shared.pop("data.name", None)
    return {
        "schema": 1,
        "edgefair": __version__,
        "artefact": artefact,
        "lines": lines,
        "left_out": found.left_out,
        "facets": [_facet(reports, shared, artefact, lines) for reports in by_data],
    }


def _facet(reports: list[dict], shared: dict[str, list], artefact: str, lines: list[float]) -> dict:
    """The points of one data set: {"name", "class_names", "group_names", "points", "methods", "teachers", "best"}."""
    first = data_settings(reports[0])
    of_points = _grouped(reports, point_settings)
    settings = [point_settings(own[0]) for own in of_points]
    varying = _unusual(settings)
    points = [_point(own, artefact, varying, lines) for own in of_points]
    _mark_front(points)
    order = sorted(range(len(points)), key=lambda i: (points[i]["method"], points[i]["lam"]))
    points, settings = [points[i] for i in order], [settings[i] for i in order]
    teachers, places = _teachers([of_points[i] for i in order], varying)
    for point, place in zip(points, places, strict=True):
        point["teacher"] = place
    return {
        "name": ", ".join([str(first["data.name"]), *_said(first, shared)]),
        "class_names": reports[0]["data"]["class_names"],
        "group_names": reports[0]["data"]["group_names"],
        "points": points,
        "methods": _methods(points, settings),
        "teachers": teachers,
        "best": [_best(points, i) for i in range(len(lines))],
    }


def _point(reports: list[dict], artefact: str, varying: dict[str, list], lines: list[float]) -> dict:
    recipe, settings = reports[0]["recipe"], point_settings(reports[0])
    point = measured(reports, artefact)
    method = f"{recipe['loss']['name']} + {recipe['strategy']['name']}"
    disparity = point["metrics"]["mean_abs_disparity"]
    return point | {
        "method": ", ".join([method, *_said(settings, varying)]),
        "lam": settings.get("strategy.lam", 0.0),
        "loss": recipe["loss"]["name"],
        "strategy": recipe["strategy"]["name"],
        "settings": settings,
        "objective": [objective(point["metrics"], lam) for lam in lines],
        "at_floor": disparity["mean"] <= disparity["floor"],  # false where either is undefined
    }


def _mark_front(points: list[dict]) -> None:
    """Say of each point whether it is in the Pareto set of the means, and whether the seeds rule it out.

    What says one class of nearly everybody has no gap to show: it is named so, and stands aside.
    """
    for point in points:
        point |= {"standing": "collapsed" if point["collapsed"] else "undefined", "ruled_out_p": None}
    able = [point for point in points if not point["collapsed"]]
    seeds = [
        Seeds(
            tuple(p["seeds"]), *(np.array(p["metrics"][name]["values"]) for name in ("accuracy", "mean_abs_disparity"))
        )
        for p in able
    ]
    front = pareto_set(
        *([side.mean() for side in sides] for sides in ([s.gain for s in seeds], [s.cost for s in seeds]))
    )
    for point, own, first, shown in zip(able, seeds, front.tolist(), ruled_out(seeds), strict=True):
        point["ruled_out_p"] = shown.p
        if not np.isnan(own.gain.mean() + own.cost.mean()):
            point["standing"] = "front" if first else "ruled out" if shown.p < LEVEL else "behind"


def _methods(points: list[dict], settings: list[dict]) -> list[dict]:
    """Points that differ in lambda alone, by lambda; "plain" is the point without a strategy, where lambda is 0."""
    keys = [digest({k: v for k, v in own.items() if k != "strategy.lam"}) for own in settings]
    bare = [digest({k: v for k, v in own.items() if not k.startswith("strategy.")}) for own in settings]
    methods = []
    for key in dict.fromkeys(keys):
        own = [i for i, other in enumerate(keys) if other == key]
        own.sort(key=lambda i: points[i]["lam"])
        plain = next(
            (i for i, p in enumerate(points) if p["strategy"] == "plain" and bare[i] == bare[own[0]] and i not in own),
            None,
        )
        if points[own[0]]["lam"] == 0:
            plain = None  # it has a beginning of its own
        methods.append({"name": points[own[0]]["method"], "points": own, "plain": plain})
    for series, method in enumerate(methods):
        for i in method["points"]:
            points[i]["series"] = series
    return methods


def _teachers(of_points: list[list[dict]], varying: dict[str, list]) -> tuple[list[dict], list[int]]:
    """Each teacher over the seeds that it was trained with, and which of them taught each point."""

    def own(report: dict) -> dict:
        return {k: v for k, v in point_settings(report).items() if k.startswith(("teacher.", "data."))}

    groups: dict[str, dict[int, dict]] = {}
    keys = [digest(own(reports[0])) for reports in of_points]
    for key, reports in zip(keys, of_points, strict=True):
        for report in reports:
            groups.setdefault(key, {}).setdefault(report["recipe"]["seed"], report)
    teachers = []
    for by_seed in groups.values():
        reports = [by_seed[seed] for seed in sorted(by_seed)]
        said = _said(own(reports[0]), {name: values for name, values in varying.items() if name.startswith("teacher.")})
        teachers.append({"name": ", ".join(["teacher", *said]), **measured(reports, "teacher")})
    places = list(groups)
    return teachers, [places.index(key) for key in keys]


def _best(points: list[dict], line: int) -> int | None:
    """The point of the largest mean objective of those that did not collapse; None where all are undefined."""
    means = [np.nan if point["collapsed"] else point["objective"][line]["mean"] for point in points]
    return None if np.isnan(means).all() else int(np.nanargmax(means))


def _grouped(reports: list[dict], settings) -> list[list[dict]]:
    """Reports with the same settings together, by seed, in the order in which the first of each was found."""
    groups: dict[str, list[dict]] = {}
    for report in reports:
        groups.setdefault(digest(settings(report)), []).append(report)
    return [sorted(group, key=lambda report: report["recipe"]["seed"]) for group in groups.values()]


def _varying(settings: list[dict]) -> dict[str, list]:
    """Fields that have two values or more, of those settings that have them at all, with these values."""
    names = sorted({name for own in settings for name in own})
    values = {name: [own[name] for own in settings if name in own] for name in names}
    return {name: own for name, own in values.items() if len(set(map(digest, own))) > 1}


def _unusual(settings: list[dict]) -> dict[str, list]:
    """What tells recipes apart beside loss, strategy and lambda; where more than half agree, that goes unsaid."""
    fields = {}
    for name, values in _varying(settings).items():
        usual = [value for value in values if 2 * values.count(value) > len(values)]
        fields[name] = [value for value in values if value not in usual]
    return {name: values for name, values in fields.items() if name not in NAMED}


def _said(settings: dict, named: dict[str, list]) -> list[str]:
    """Settings that have one of the named values, as NAME=VALUE; the student's training goes without its section."""
    return [
        f"{name.removeprefix('train.')}={_value(settings[name])}"
        for name, values in named.items()
        if name in settings and settings[name] in values
    ]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
