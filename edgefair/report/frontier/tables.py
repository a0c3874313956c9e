"""The tables of a frontier as rows of raw values, for CSV, and of text, for LaTeX: tables 2 to 6 of Bang et al."""

from collections.abc import Callable
from typing import NamedTuple

from edgefair.report.chart import points
from edgefair.report.frontier.scales import label, lambda_text

# column of table 5: metric
COLUMNS = {
    "Accuracy (%)": "accuracy",
    "Recall (%)": "weighted_recall",
    "Precision (%)": "weighted_precision",
    "F1 (%)": "weighted_f1",
}
SETTINGS = {  # column of tables 2 and 4: setting
    "Student": "student.spec",
    "Teacher": "teacher.spec",
    "LR": "train.lr",
    "Optimizer": "train.optimizer",
    "Schedule": "train.schedule",
    "Weight decay": "train.weight_decay",
    "Batch": "train.batch_size",
    "Epochs": "train.epochs",
    "Temp": "loss.temperature",
}
WITH_TEMPERATURE = ("ckd", "ctkd", "kdpp")
MOST_LAMBDAS = 6


class Table(NamedTuple):
    """One table: a name for its file, heads, rows of values, of what; a number is a float or an int, undefined None."""

    name: str
    heads: list[str]
    rows: list[list]
    about: str = ""


def csv_tables(found: dict) -> list[Table]:
    """Every number of every point, class and run, in percent and points."""
    return [_points_table(found), _classes_table(found), _runs_table(found)]


def latex_tables(found: dict) -> list[Table]:
    """Tables of the paper's form, one of each kind for every data set; numbers are text already."""
    tables = []
    for number, facet in enumerate(found["facets"], 1):
        end = f"-{number}" if len(found["facets"]) > 1 else ""
        tables += [
            Table(f"results{end}", *_results(facet), facet["name"]),
            Table(f"distillation-loss{end}", *_losses(facet), facet["name"]),
            Table(f"settings{end}", *_settings(facet), facet["name"]),
            *(
                Table(f"classes{end}-{i}", *class_rows(facet, method), f"{facet['name']}, {method['name']}")
                for i, method in enumerate(facet["methods"], 1)
            ),
        ]
    return tables


def chosen(facet: dict, method: dict) -> list[int]:
    """Points of a method whose classes are shown, by lambda, plain first; of many the ends, the best, some between."""
    every = [*([method["plain"]] if method["plain"] is not None else []), *method["points"]]
    if len(every) <= MOST_LAMBDAS:
        return every
    kept = {0, len(every) - 1} | {every.index(i) for i in facet["best"] if i in every}
    step = (len(every) - 1) / (MOST_LAMBDAS - 1)
    for at in range(MOST_LAMBDAS):
        if len(kept) < MOST_LAMBDAS:
            kept.add(round(at * step))
    return [every[at] for at in sorted(kept)]


def class_rows(facet: dict, method: dict) -> tuple[list[str], list[list[str]]]:
    """Table 6: disparity of each class at the chosen lambdas, and the mean of the absolute values."""
    own = [facet["points"][i] for i in chosen(facet, method)]
    heads = ["Class", *(f"Disparity, {head(point)}" for point in own)]
    rows = [
        [name, *(shown(point["classes"]["mean"][c], 2) for point in own)] for c, name in enumerate(facet["class_names"])
    ]
    average = ["Average", *(shown(point["metrics"]["mean_abs_disparity"]["mean"], 2) for point in own)]
    return heads, [*rows, average]


def head(point: dict) -> str:
    """What stands over a column: lambda, or that there is no strategy."""
    return "plain" if point["strategy"] == "plain" else f"λ = {lambda_text(point['lam'])}"


def loss_percent(before: float | None, after: float | None) -> float | None:
    """How much smaller `after` is than `before`, in percent of it: the distillation loss of table 3."""
    return 100 * (before - after) / before if before and after is not None else None


def shown(share: float | None, digits: int = 1) -> str:
    """A share as percent or points; a dash where it is undefined."""
    return "–" if share is None else f"{round(100 * share, digits) + 0.0:.{digits}f}"


def _points_table(found: dict) -> Table:
    units = {"deo_max": "points", "mean_abs_disparity": "points"}
    metrics = list(found["facets"][0]["points"][0]["metrics"])
    heads = ["data", "role", "name", "loss", "strategy", "lambda", "n_seeds", "seeds", "parameters"]
    for metric in metrics:
        unit = units.get(metric, "percent")
        heads += [f"{metric}_{unit}", f"{metric}_low", f"{metric}_high"]
        heads += [f"{metric}_floor"] if metric in units else []
    heads += [f"{name}_lost_of_teacher_percent" for name in (*COLUMNS.values(), "parameters")]
    heads += [f"objective_lambda_{lambda_text(lam)}" for lam in found["lines"]]
    heads += ["standing", "p_ruled_out", "at_noise_floor"]
    rows = []
    for facet in found["facets"]:
        for teacher in facet["teachers"]:
            row = [
                facet["name"],
                "teacher",
                teacher["name"],
                "",
                "",
                None,
                *_common(teacher),
                *_metrics(teacher, metrics),
            ]
            rows.append(row + [None] * (len(heads) - len(row)))
        for point in facet["points"]:
            begin = [facet["name"], "student", label(point), point["loss"], point["strategy"], point["lam"]]
            lost = _lost(facet, point)
            worth = [points(objective["mean"]) for objective in point["objective"]]
            end = [point["standing"], point["ruled_out_p"], "yes" if point["at_floor"] else "no"]
            rows.append([*begin, *_common(point), *_metrics(point, metrics), *lost, *worth, *end])
    return Table("points", heads, rows)


def _common(measured: dict) -> list:
    seeds = measured["seeds"]
    return [len(seeds), " ".join(map(str, seeds)), measured["parameters"]]


def _metrics(measured: dict, names: list[str]) -> list:
    row = []
    for name in names:
        spread = measured["metrics"][name]
        row += [points(value) for value in (spread["mean"], *spread["interval"])]
        row += [points(spread["floor"])] if "floor" in spread else []
    return row


def _lost(facet: dict, point: dict) -> list[float | None]:
    teacher = facet["teachers"][point["teacher"]]
    sides = [[one["metrics"][name]["mean"] for name in COLUMNS.values()] for one in (teacher, point)]
    lost = [loss_percent(before, after) for before, after in zip(*sides, strict=True)]
    return [*lost, loss_percent(teacher["parameters"], point["parameters"])]


POINT = ("data", "name", "loss", "strategy", "lambda")
"""Columns that say which point a row belongs to."""


def _of_point(facet: dict, point: dict) -> list:
    return [facet["name"], label(point), point["loss"], point["strategy"], point["lam"]]


def _classes_table(found: dict) -> Table:
    heads = [
        *POINT,
        "n_seeds",
        "class",
        "kind",
        "disparity_points",
        "low",
        "high",
    ]
    rows = []
    for facet in found["facets"]:
        for point in facet["points"]:
            own = point["classes"]
            kind = "first minus second group" if own["signed"] else "best minus worst group"
            begin = [*_of_point(facet, point), len(point["seeds"])]
            for name, mean, ends, chance in zip(
                facet["class_names"], own["mean"], own["interval"], own["chance"], strict=True
            ):
                rows.append([*begin, name, kind, points(mean), *map(points, ends), points(chance)])
    return Table("classes", [*heads, "chance_95_percent_points"], rows)


def _runs_table(found: dict) -> Table:
    """The runs themselves: accuracy and disparity of each seed with its folder."""
    heads = [
        *POINT,
        "seed",
        "accuracy_percent",
        "mean_abs_disparity_points",
        "run",
    ]
    rows = []
    for facet in found["facets"]:
        for point in facet["points"]:
            begin = _of_point(facet, point)
            values = [point["metrics"][name]["values"] for name in ("accuracy", "mean_abs_disparity")]
            for seed, folder, *both in zip(point["seeds"], point["folders"], *values, strict=True):
                rows.append([*begin, seed, *map(points, both), folder])
    return Table("runs", heads, rows)


def _results(facet: dict) -> tuple[list[str], list[list[str]]]:
    """Table 5: teachers, then every recipe by method and lambda; the best of a method is marked by stars round it."""
    heads = ["Model", "λ", "Seeds", *COLUMNS, "Parameters (M)", "Disparity", "Noise floor"]
    rows = [[teacher["name"], "–", str(len(teacher["seeds"])), *_numbers(teacher)] for teacher in facet["teachers"]]
    for method in facet["methods"]:
        own = [facet["points"][i] for i in method["points"]]
        texts = [[method["name"], _lambda(point), str(len(point["seeds"])), *_numbers(point)] for point in own]
        if len(own) > 1:
            for column, metric in enumerate(COLUMNS.values(), 3):
                _bold(texts, own, column, metric, max)
            _bold(texts, own, 4 + len(COLUMNS), "mean_abs_disparity", min)
        rows += texts
    return heads, rows


def _bold(texts: list[list[str]], own: list[dict], column: int, metric: str, best: Callable) -> None:
    """Put stars round the best mean of a column."""
    means = [point["metrics"][metric]["mean"] for point in own]
    for row, mean in zip(texts, means, strict=True):
        if mean is not None and mean == best(other for other in means if other is not None):
            row[column] = f"**{row[column]}**"


def _numbers(measured: dict) -> list[str]:
    metrics = measured["metrics"]
    disparity = metrics["mean_abs_disparity"]
    size = "–" if measured["parameters"] is None else f"{measured['parameters'] / 1e6:.3g}"
    return [*(_spread(metrics[name]) for name in COLUMNS.values()), size, _spread(disparity), shown(disparity["floor"])]


def _spread(spread: dict) -> str:
    """Mean, and half of the t-interval where there are several seeds."""
    if spread["mean"] is None or spread["interval"][0] is None:
        return shown(spread["mean"], 2)
    return f"{shown(spread['mean'], 2)} ± {shown(spread['interval'][1] - spread['mean'], 2)}"


def _lambda(point: dict) -> str:
    return "–" if point["strategy"] == "plain" else lambda_text(point["lam"])


def _losses(facet: dict) -> tuple[list[str], list[list[str]]]:
    """The last part of table 3: what a student loses of its teacher in percent, in brackets; a gain has a plus."""
    rows = []
    for point in facet["points"]:
        lost = ["–" if x is None else f"({x:.2f})" if x >= 0 else f"+{-x:.2f}" for x in _lost(facet, point)]
        rows.append([point["method"], _lambda(point), *lost])
    return ["Model", "λ", *(name.removesuffix(" (%)") for name in COLUMNS), "Parameters"], rows


def _settings(facet: dict) -> tuple[list[str], list[list[str]]]:
    """Tables 2 and 4: how each method was trained."""
    rows = []
    for method in facet["methods"]:
        own = [facet["points"][i] for i in method["points"]]
        settings = own[0]["settings"]
        values = [_setting(settings, own[0]["loss"], name) for name in SETTINGS.values()]
        rows.append([method["name"], *values, ", ".join(map(_lambda, own))])
    return ["Model", *SETTINGS, "λ"], rows


def _setting(settings: dict, loss: str, name: str) -> str:
    value = settings.get(name)
    if value is None or (name == "loss.temperature" and loss not in WITH_TEMPERATURE):
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
