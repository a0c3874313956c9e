"""The report's charts of what is judged: disparity, accuracy, latency and size, as plotly figures."""

from edgefair.report.curves import training_charts
from edgefair.report.plot import Chart, colours, escape, layout, plotly, points, short, ticks

SYMBOLS = ("circle-open", "square-open", "diamond-open", "cross-open", "triangle-up-open", "star-open")
SHADES = {"p50_ms": 1.0, "p90_ms": 0.65, "p99_ms": 0.35}
MOST_CLASSES = 20


def build_charts(report: dict) -> list[Chart]:
    """All charts of a report, in reading order; the null runtime is in none of them."""
    entries = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    return [
        _disparity(entries, report["data"]["group_names"]),
        _tradeoff(entries),
        *_latencies(entries),
        _sizes(entries),
        *training_charts(report.get("history") or {}),
    ]


def _disparity(entries: list[dict], groups: list[str]) -> Chart:
    """Grouped bars per class; signed for two groups, else the gap; the grey band is what chance would show."""
    signed = len(groups) == 2
    classes = [entry["metrics"]["classes"] for entry in entries]
    order = _largest(classes)
    figure = plotly().Figure(layout=layout(barmode="group", height=420, hovermode="closest"))
    figure.add_bar(**_band(classes, order, signed))
    for entry, own, colour in zip(entries, classes, colours(entries).values(), strict=True):
        values = [points(own[c]["signed" if signed else "gap"]) for c in order]
        notes = [escape(_class_note(own[c], groups)) for c in order]
        name = escape(entry["artefact"])
        figure.add_bar(x=list(range(len(order))), y=values, name=name, hovertext=notes, marker={"color": colour})
    figure.update_xaxes(**ticks([classes[0][c]["name"] for c in order]), range=[-0.5, len(order) - 0.5])
    title = "largest minus smallest recall, points"
    if signed:
        title = f"← {short(groups[1], 16)} better · points · {short(groups[0], 16)} better →"
    figure.update_yaxes(title_text=escape(title), zeroline=True, zerolinewidth=2)
    caption = _disparity_caption(classes, order, groups)
    width = len(order) * (10 * len(entries) + 14) + 90
    return Chart("disparity", "fairness", "Disparity of each class", caption, figure.to_plotly_json(), width)


def _band(classes: list[list[dict]], order: list[int], signed: bool) -> dict:
    """A wide grey bar behind each class up to the largest q95 of the artefacts; both ways where the sign is shown."""
    q95 = [max(points(own[c]["floor_q95"]) or 0 for own in classes) for c in order]
    base = [-q if signed else 0 for q in q95]
    heights = [q - low for q, low in zip(q95, base, strict=True)]
    # A bar with an offset of its own takes no place among the grouped bars.
    place = {"x": list(range(len(order))), "base": base, "y": heights, "offset": -0.46, "width": 0.92}
    return {**place, "name": "chance (95 %)", "hoverinfo": "skip", "marker": {"color": "rgba(128,128,128,0.28)"}}


def _disparity_caption(classes: list[list[dict]], order: list[int], groups: list[str]) -> str:
    parts = ["Recall (share of the rows of a class that are recognised) of the best group minus that of the worst."]
    if len(groups) == 2:
        parts = [f"Recall (share of the rows of a class that are recognised) of {groups[0]} minus that of {groups[1]}."]
        parts.append(f"Above zero {groups[0]} is recognised better, below zero {groups[1]}.")
    parts.append("Inside the grey band a bar is no larger than in 95 % of random deals of the groups.")
    if len(order) < len(classes[0]):
        parts.append(
            f"Shown are the {len(order)} of {len(classes[0])} classes with the largest gaps; the table has all."
        )
    undefined = [row["name"] for row in classes[0] if row["gap"] is None]
    if undefined:
        more = f" and {len(undefined) - 6} more" if len(undefined) > 6 else ""
        parts.append(f"Undefined, for a group has no rows: {', '.join(undefined[:6])}{more}.")
    return " ".join(parts)


def _largest(classes: list[list[dict]]) -> list[int]:
    """All classes in their order, or the MOST_CLASSES of largest gap if there are more."""
    every = range(len(classes[0]))
    if len(every) <= MOST_CLASSES:
        return list(every)
    return sorted(every, key=lambda c: -max(own[c]["gap"] or 0 for own in classes))[:MOST_CLASSES]


def _class_note(row: dict, groups: list[str]) -> str:
    rates = ", ".join(
        f"{group} {'undefined' if rate is None else f'{100 * rate:.1f} %'} of {rows}"
        for group, rate, rows in zip(groups, row["recall"], row["rows"], strict=True)
    )
    return f"{row['name']}: {rates}"


def _tradeoff(entries: list[dict]) -> Chart:
    """Accuracy against disparity; artefacts that lie on one another share a label."""
    figure = plotly().Figure(layout=layout(height=380, showlegend=False))
    places = [_place(entry["metrics"]) for entry in entries]
    for i, ((name, colour), (x, y, low, high)) in enumerate(zip(colours(entries).items(), places, strict=True)):
        marker = {"color": colour, "size": 13 + 2 * (i % 3), "symbol": SYMBOLS[i % len(SYMBOLS)], "line": {"width": 3}}
        error = {"color": colour, "thickness": 1, "visible": False}
        if None not in (x, low, high):
            error |= {"type": "data", "array": [high - x], "arrayminus": [x - low], "visible": True}
        figure.add_scatter(x=[x], y=[y], name=escape(name), mode="markers", marker=marker, error_x=error)
    for note in _labels(colours(entries), places):
        figure.add_annotation(**note)
    floors = [points(entry["metrics"]["disparities"]["mean_abs_disparity"]["floor"]) for entry in entries]
    top = max([1, *(y for y in [*floors, *(place[1] for place in places)] if y is not None)])
    if floor := max((f for f in floors if f is not None), default=0):
        line, label = {"dash": "dash", "width": 1.5, "color": "#888888"}, {"text": "noise floor", "textposition": "end"}
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=floor, y1=floor, line=line, label=label)
    figure.update_xaxes(title_text="accuracy, %  (more is better →)")
    figure.update_yaxes(title_text="← fairer · mean absolute disparity, points", range=[0, 1.2 * top])
    caption = (
        "Lower right is best. Whiskers: 95 % interval of the accuracy. Dashed: the disparity that groups dealt at "
        "random would show, the highest of the artefacts."
    )
    if missing := [name for name, place in zip(colours(entries), places, strict=True) if None in place[:2]]:
        caption += f" Not shown, for a number is undefined: {', '.join(missing)}."
    return Chart("tradeoff", "fairness", "Accuracy against disparity", caption, figure.to_plotly_json())


def _place(metrics: dict) -> tuple:
    """(accuracy, disparity, lower end, upper end of the accuracy) in percent and points."""
    accuracy = metrics["scores"]["accuracy"]
    x, y = points(accuracy["value"]), points(metrics["disparities"]["mean_abs_disparity"]["value"])
    return x, y, *(points(end) for end in accuracy["interval"])


def _labels(colour: dict[str, str], places: list[tuple]) -> list[dict]:
    """One annotation for each heap of near points, topmost first, so that names never overprint."""
    spots = [(place[0], place[1], name) for name, place in zip(colour, places, strict=True) if None not in place[:2]]
    if not spots:
        return []
    near_x = 0.15 * max(1.0, max(x for x, *_ in spots) - min(x for x, *_ in spots))
    near_y = 0.15 * max(y for _, y, _ in spots)
    heaps: list[list[tuple]] = []
    for spot in sorted(spots, key=lambda spot: -spot[1]):
        home = (h for h in heaps if abs(h[-1][0] - spot[0]) <= near_x and abs(h[-1][1] - spot[1]) <= near_y)
        if (heap := next(home, None)) is not None:
            heap.append(spot)
        else:
            heaps.append([spot])
    base = {"showarrow": False, "xanchor": "left", "xshift": 12, "yanchor": "bottom", "yshift": 5, "align": "left"}
    return [
        {**base, "x": heap[0][0], "y": heap[0][1], "text": "<br>".join(_tag(n, colour[n]) for *_, n in heap)}
        for heap in heaps
    ]


def _tag(name: str, colour: str) -> str:
    return f'<span style="color:{colour}">■</span> {escape(short(name))}'


def _sizes(entries: list[dict]) -> Chart:
    values = [entry["bytes"] / 1e6 for entry in entries]
    figure = plotly().Figure(layout=layout(height=380, showlegend=False))
    bars = {"x": list(range(len(values))), "y": values, "text": [f"{value:.3g}" for value in values]}
    figure.add_bar(
        **bars, textposition="outside", cliponaxis=False, marker={"color": list(colours(entries).values())}, width=0.6
    )
    figure.update_xaxes(**ticks([entry["artefact"] for entry in entries]))
    figure.update_yaxes(title_text="file size, MB (10⁶ bytes)", rangemode="tozero")
    return Chart(
        "size",
        "speed",
        "File size",
        "Size of each file: PyTorch weights of teacher and student, and the files that ship.",
        figure.to_plotly_json(),
    )


def _latencies(entries: list[dict]) -> list[Chart]:
    """One chart a batch size, for their scales differ."""
    batches = sorted({int(batch) for entry in entries for batch in entry["latency"]})
    return [_latency([e for e in entries if str(batch) in e["latency"]], colours(entries), batch) for batch in batches]


def _latency(entries: list[dict], colour: dict[str, str], batch: int) -> Chart:
    figure = plotly().Figure(layout=layout(barmode="group", height=360, showlegend=False))
    for name, shade in SHADES.items():
        values = [entry["latency"][str(batch)][name] for entry in entries]
        marker = {"color": [colour[entry["artefact"]] for entry in entries], "opacity": shade}
        label = name.removesuffix("_ms")
        text = ["" if value is None else f"{label} {value:.3g}" for value in values]
        bars = {"x": list(range(len(entries))), "y": values, "text": text, "name": label, "marker": marker}
        figure.add_bar(
            **bars, textposition="outside", textangle=-90, cliponaxis=False, constraintext="none", textfont={"size": 11}
        )
    figure.update_xaxes(**ticks([entry["artefact"] for entry in entries]))
    top = max((row for e in entries if (row := e["latency"][str(batch)]["p99_ms"]) is not None), default=1)
    figure.update_yaxes(title_text="milliseconds a call", range=[0, 1.4 * top])
    calls = entries[0]["latency"][str(batch)]["calls"]
    caption = (
        f"Half (p50, dark), 90 % (p90) and 99 % (p99, light) of {calls} calls took at most this long. Lower is better."
    )
    title = f"Latency, {batch} image{'s' if batch > 1 else ''} a call"
    return Chart(f"latency-{batch}", "speed", title, caption, figure.to_plotly_json(), 60 + 70 * len(entries))
