"""The report's training curves: loss terms and validation numbers of each epoch."""

from edgefair.report.plot import PALETTE, Chart, escape, layout, plotly

TERMS = {"loss": "total loss", "ce": "cross-entropy", "adversary": "adversary's cross-entropy"}
TERMS |= {"rkd_distance": "RKD distance", "rkd_angle": "RKD angle"}
CURVES = {
    "validation_accuracy": "accuracy, %",
    "validation_balanced": "mean recall of the (class, group) cells, %",
    "validation_disparity": "mean absolute disparity, points",
}
PERCENT = "% or points"
APART = ("epoch", "kept", "temperature")
GRADIENT = "gradient_"


def training_charts(history: dict) -> list[Chart]:
    """Loss and validation of each network that was trained: {"teacher": [row of an epoch, ..], ..}."""
    charts = []
    for network, rows in history.items():
        if not rows:
            continue
        named = [name for name in rows[0] if name not in APART and name not in CURVES]
        logged = [name for name in named if not name.startswith(GRADIENT)]
        gradients = {
            name: TERMS.get(t := name.removeprefix(GRADIENT), t) for name in named if name.startswith(GRADIENT)
        }
        terms = {name: TERMS.get(name, name.replace("_", " ")) for name in logged}
        curves = {name: label for name, label in CURVES.items() if name in rows[0]}
        title = f"{network.capitalize()}: "
        loss = "Mean over the steps of each epoch; the total and its terms."
        kept = ", ".join(str(row["epoch"]) for row in rows if row.get("kept"))
        judged = "On validation rows, after each epoch; gate rows are used neither for training nor for choosing. "
        judged += f"Epoch {kept} was kept." if kept else ""
        charts += [
            Chart(f"{network}-loss", "training", title + "loss", loss, _lines(rows, terms, 1, "loss")),
            Chart(
                f"{network}-validation", "training", title + "validation", judged, _lines(rows, curves, 100, PERCENT)
            ),
        ]
        if len(gradients) > 1:
            how = "Length of each term's gradient in the student's parameters, at the first step of each epoch."
            lines = _lines(rows, gradients, 1, "gradient norm")
            charts.append(Chart(f"{network}-gradient", "training", title + "pull of each term", how, lines))
    return charts


def _lines(rows: list[dict], names: dict[str, str], scale: float, unit: str) -> dict:
    figure = plotly().Figure(layout=layout(height=340, hovermode="x unified"))
    epochs = [row["epoch"] for row in rows]
    for i, (name, label) in enumerate(names.items()):
        values = [None if row.get(name) is None else scale * row[name] for row in rows]
        line = {"color": PALETTE[(i + 1) % len(PALETTE)], "dash": ("solid", "dash", "dot", "dashdot")[i % 4]}
        mode = "lines+markers" if len(rows) <= 30 else "lines"
        figure.add_scatter(x=epochs, y=values, name=escape(label), mode=mode, line=line)
    whole = {"dtick": 1} if len(rows) <= 12 else {}
    figure.update_xaxes(title_text="epoch", **whole)
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    return figure.to_plotly_json()
