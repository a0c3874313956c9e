"""The report's training curves: loss terms and validation numbers of each epoch."""

from edgefair.report.chart import Chart, largest
from edgefair.report.svg import SERIES, Axis, bottom_axis, drawing, left_axis, line, tag

TERMS = {"loss": "total loss", "ce": "cross-entropy", "adversary": "adversary's cross-entropy"}
TERMS |= {"rkd_distance": "RKD distance", "rkd_angle": "RKD angle"}
CURVES = {
    "validation_accuracy": "accuracy, %",
    "validation_balanced": "mean recall of the (class, group) cells, %",
    "validation_disparity": "mean absolute disparity, points",
}
PERCENT = "% or points"
APART = ("epoch", "kept", "temperature", "warnings", "validation_disparity_floor")
APART += ("task_at_start", "task_at_end", "adversary_at_end")
GRADIENT = "gradient_"


def training_charts(history: dict) -> list[Chart]:
    """Loss and validation of each network that was trained: {"teacher": [row of an epoch, ..], ..}."""
    return [chart for network, rows in history.items() if rows for chart in _network(network, rows)]


def _network(network: str, rows: list[dict]) -> list[Chart]:
    named = [name for name in rows[0] if name not in APART and name not in CURVES]
    terms = {name: TERMS.get(name, name.replace("_", " ")) for name in named if not name.startswith(GRADIENT)}
    gradients = {n: TERMS.get(t := n.removeprefix(GRADIENT), t) for n in named if n.startswith(GRADIENT)}
    curves = {name: label for name, label in CURVES.items() if name in rows[0]}
    loss = "Mean over the steps of each epoch; the total and its terms."
    kept = ", ".join(str(row["epoch"]) for row in rows if row.get("kept"))
    judged = "On validation rows, after each epoch; gate rows are used neither for training nor for choosing. "
    judged += f"Epoch {kept} was kept." if kept else ""
    pull = "Length of each term's gradient in the student's parameters, at the first step of each epoch."
    charts = [
        _curves(network, "loss", rows, terms, 1, "loss", loss),
        _curves(network, "validation", rows, curves, 100, PERCENT, judged),
    ]
    if len(gradients) > 1:
        charts.append(_curves(network, "gradient", rows, gradients, 1, "gradient norm", pull))
    return charts


def _curves(network: str, what: str, rows: list[dict], names: dict[str, str], scale: float, unit: str, caption: str):
    lines = {name: [None if row.get(name) is None else scale * row[name] for row in rows] for name in names}
    finite = [value for values in lines.values() for value in values if value is not None]
    epochs = [row["epoch"] for row in rows]
    across = Axis(min(epochs) - 0.5, max(epochs) + 0.5, 52, 510)
    up = Axis(min([0.0, *finite]), 1.08 * largest(finite, 1e-6), 260, 30)
    parts = [bottom_axis(across, up.end, up.start, "epoch", least=1), left_axis(up, across.start, across.end, unit)]
    for i, values in enumerate(lines.values()):
        spots = [(across.at(e), up.at(v)) for e, v in zip(epochs, values, strict=True) if v is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(tag("polyline", points=path, class_=f"curve l{i % SERIES} d{i % 4}"))
        if len(rows) <= 30:
            parts += [tag("circle", cx=x, cy=y, r=2.5, class_=f"f{i % SERIES}") for x, y in spots]
    title = f"{network.capitalize()}: {'pull of each term' if what == 'gradient' else what}"
    samples = [line(0, 9, 18, 9, f"curve l{i % SERIES} d{i % 4}") for i in range(len(names))]
    legend = tuple(zip(samples, names.values(), strict=True))
    return Chart(
        f"{network}-{what}", "training", title, caption, drawing(524, 306, f"{title}. {caption}", *parts), legend
    )
