"""The report's charts of what is judged: disparity of each class, accuracy against disparity, latency and size."""

from edgefair.report.chart import Chart, largest, points, short
from edgefair.report.svg import SERIES, Axis, bottom_axis, drawing, left_axis, line, mark, tag, text
from edgefair.report.training_curves import training_charts

MOST_CLASSES = 20
WIDTH = 720


def build_charts(report: dict) -> list[Chart]:
    """All charts of a report, in reading order; the null runtime is in none of them."""
    entries = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    return [
        disparity_chart(entries, report["data"]["group_names"]),
        tradeoff_chart(entries, report["lambda"]["value"]),
        *latency_charts(entries),
        size_chart(entries),
        *training_charts(report.get("history") or {}),
    ]


def disparity_chart(entries: list[dict], groups: list[str]) -> Chart:
    """One line a class, one mark an artefact; signed for two groups, else the gap; the band is what chance shows."""
    field = "signed" if len(groups) == 2 else "gap"
    classes = [entry["metrics"]["classes"] for entry in entries]
    order = _largest_gaps(classes)
    band = {c: largest((points(own[c]["floor_q95"]) for own in classes), 0) for c in order}
    most = 1.08 * largest([*band.values(), *(abs(points(own[c]["gap"]) or 0) for own in classes for c in order)], 1)
    step, top = 9 * len(entries) + 12, 30
    bottom = top + step * len(order)
    names = [short(classes[0][c]["name"]) for c in order]
    axis = Axis(-most if field == "signed" else 0, most, 20 + 8.2 * max(map(len, names)), WIDTH - 24)
    unit = "difference of recall, points" if field == "signed" else "largest minus smallest recall, points"
    parts = [bottom_axis(axis, top, bottom, unit), line(axis.at(0), top, axis.at(0), bottom, "zero")]
    if field == "signed":
        parts += _directions(axis, groups)
    for row, c in enumerate(order):
        low, high = axis.at(-band[c] if field == "signed" else 0), axis.at(band[c])
        y = top + step * row
        parts += [
            tag("rect", x=low, y=y + 2, width=high - low, height=step - 4, class_="band"),
            text(names[row], axis.start - 10, y + step / 2 + 4, text_anchor="end"),
            *_marks(classes, entries, c, field, groups, axis, y + 10.5),
        ]
    caption = _disparity_caption(classes, order, groups)
    svg = drawing(WIDTH, bottom + 44, "Disparity of each class. " + caption, *parts)
    return Chart("disparity", "fairness", "Disparity of each class", caption, svg, _legend(entries))


def _marks(classes: list[list[dict]], entries, c: int, field: str, groups: list[str], axis: Axis, y: float):
    for series, (own, entry) in enumerate(zip(classes, entries, strict=True)):
        value, place = points(own[c][field]), y + 9 * series
        note = f"{entry['artefact']}, {_class_note(own[c], groups)}"
        if value is None:
            yield text("undefined: a group has no rows", axis.at(0) + 6, place + 4, class_="small")
        else:
            yield line(axis.at(0), place, axis.at(value), place, f"stem l{series % SERIES}") + mark(
                series, axis.at(value), place, note
            )


def _directions(axis: Axis, groups: list[str]) -> list[str]:
    return [
        text(f"← better for {short(groups[1], 16)}", axis.start, 16, class_="title"),
        text(f"better for {short(groups[0], 16)} →", axis.end, 16, class_="title", text_anchor="end"),
    ]


def _disparity_caption(classes: list[list[dict]], order: list[int], groups: list[str]) -> str:
    parts = ["Recall (share of the rows of a class that are recognised) of the best group minus that of the worst."]
    if len(groups) == 2:
        parts = [f"Recall (share of the rows of a class that are recognised) of {groups[0]} minus that of {groups[1]}."]
    parts.append("A mark inside the grey band is no larger than in 95 % of random deals of the groups.")
    if len(order) < len(classes[0]):
        parts.append(
            f"Shown are the {len(order)} of {len(classes[0])} classes with the largest gaps; the table has all."
        )
    undefined = [row["name"] for row in classes[0] if row["gap"] is None]
    if undefined:
        more = f" and {len(undefined) - 6} more" if len(undefined) > 6 else ""
        parts.append(f"Undefined, for a group has no rows: {', '.join(undefined[:6])}{more}.")
    return " ".join(parts)


def _largest_gaps(classes: list[list[dict]]) -> list[int]:
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


def tradeoff_chart(entries: list[dict], lam: float) -> Chart:
    """Accuracy against disparity, with the line of the student's objective A - lambda * D (Bang et al., section 2)."""
    places = {entry["artefact"]: place(entry["metrics"]) for entry in entries}
    shown = {name: spot for name, spot in places.items() if None not in spot[:2]}
    floor = largest((points(entry["metrics"]["disparities"]["mean_abs_disparity"]["floor"]) for entry in entries), 0)
    across, up = _tradeoff_axes(list(shown.values()), floor)
    parts = [
        bottom_axis(across, up.end, up.start, "accuracy A, %  (more is better →)"),
        left_axis(up, across.start, across.end, "mean absolute disparity D, points  (less is better ↓)"),
        line(across.start, up.at(floor), across.end, up.at(floor), "floor"),
        text("noise floor", across.end - 4, up.at(floor) - 5, text_anchor="end", class_="small"),
    ]
    data = {}
    if "student" in shown:
        a, d = shown["student"][:2]
        # What the page's script needs to turn the line for another lambda.
        data = {"data_a": repr(a), "data_d": repr(d), "data_across": list(across), "data_up": list(up)}
        parts += _iso_objective(a, d, lam, across, up)
    for series, (name, spot) in enumerate(places.items()):
        parts += _spot(series, name, spot, across, up) if name in shown else []
    caption = _tradeoff_caption(list(places), shown)
    svg = drawing(WIDTH, up.start + 48, "Accuracy against disparity. " + caption, *parts, **data)
    return Chart("tradeoff", "fairness", "Accuracy against disparity", caption, svg, _legend(entries))


def _iso_objective(a: float, d: float, lam: float, across: Axis, up: Axis) -> list[str]:
    """The line A - lambda * D = a - lambda * d, cut to the axes."""
    ends = [across.at(a + lam * (value - d)) for value in (up.low, up.high)]
    window = tag("rect", x=across.start, y=up.end, width=across.end - across.start, height=up.start - up.end)
    return [
        tag("clipPath", window, id="plot-area"),
        line(ends[0], up.start, ends[1], up.end, "iso", id="iso", clip_path="url(#plot-area)"),
    ]


def _spot(series: int, name: str, spot: tuple, across: Axis, up: Axis) -> list[str]:
    a, d, low, high = spot
    note = f"{name}: accuracy {a:.1f} %, disparity {d:.1f} points"
    parts = [mark(series, across.at(a), up.at(d), note, 6)]
    if None not in (low, high):
        parts.insert(0, line(across.at(low), up.at(d), across.at(high), up.at(d), f"whisker l{series % SERIES}"))
    return parts


def _tradeoff_caption(names: list[str], shown: dict) -> str:
    caption = (
        "Each mark is an artefact; further right it is more accurate, further down it treats the groups more alike. "
        "Thin lines: 95 % interval of the accuracy. Dashed: the disparity that groups dealt at random would show."
    )
    if "student" in shown:
        caption += " Slanted: all points whose objective A − λD is the student's; below and right of it is better."
    if missing := [name for name in names if name not in shown]:
        caption += f" Not shown, for a number is undefined: {', '.join(missing)}."
    return caption


def _tradeoff_axes(spots: list[tuple], floor: float) -> tuple[Axis, Axis]:
    ends = [end for spot in spots for end in (spot[0], *spot[2:]) if end is not None] or [0.0, 100.0]
    room = max(1.0, 0.12 * (max(ends) - min(ends)))
    top = 1.15 * largest([floor, *(spot[1] for spot in spots)], 1)
    return Axis(max(0.0, min(ends) - room), min(100.0, max(ends) + room), 52, WIDTH - 20), Axis(0.0, top, 340, 34)


def place(metrics: dict) -> tuple:
    """(accuracy, disparity, lower end, upper end of the accuracy) in percent and points."""
    accuracy = metrics["scores"]["accuracy"]
    x, y = points(accuracy["value"]), points(metrics["disparities"]["mean_abs_disparity"]["value"])
    return x, y, *(points(end) for end in accuracy["interval"])


def latency_charts(entries: list[dict]) -> list[Chart]:
    """One chart a batch size, for their scales differ."""
    batches = sorted({int(batch) for entry in entries for batch in entry["latency"]})
    return [_latency_chart([e for e in entries if str(batch) in e["latency"]], batch) for batch in batches]


def _latency_chart(entries: list[dict], batch: int) -> Chart:
    rows = [entry["latency"][str(batch)] for entry in entries]
    axis = Axis(0, 1.05 * largest((row["p99_ms"] for row in rows), 1e-6), 150, 400)
    parts = []
    for series, row in enumerate(rows):
        y, ends = 30 + 30 * series, [row[name] for name in ("p50_ms", "p90_ms", "p99_ms")]
        words = " / ".join("undefined" if end is None else f"{end:.3g}" for end in ends)
        if None not in ends:
            p50, p90, p99 = (axis.at(end) for end in ends)
            parts += [
                line(p50, y, p99, y, f"whisker l{series % SERIES}"),
                *(line(x, y - 6, x, y + 6, f"whisker l{series % SERIES}") for x in (p90, p99)),
            ]
            parts.append(_bar(series, axis.start, p50 - axis.start, y))
        parts.append(text(words, 520, y + 4, text_anchor="end"))
    title = f"Latency, {batch} image{'s' if batch > 1 else ''} a call"
    caption = "The bar ends at p50; the strokes are p90 and p99: 50, 90 and 99 % of the calls took at most this long. "
    caption += "Beside it the three numbers. Shorter is better."
    svg = _bars(entries, parts, axis, "milliseconds a call", f"{title}. {caption}", "p50 / p90 / p99")
    return Chart(f"latency-{batch}", "speed", title, caption, svg)


def size_chart(entries: list[dict]) -> Chart:
    """File sizes as bars."""
    sizes = [entry["bytes"] / 1e6 for entry in entries]
    axis = Axis(0, 1.05 * max([*sizes, 1e-6]), 150, 440)
    parts = []
    for series, size in enumerate(sizes):
        y = 30 + 30 * series
        parts += [
            _bar(series, axis.start, axis.at(size) - axis.start, y),
            text(f"{size:.3g}", 520, y + 4, text_anchor="end"),
        ]
    caption = "Size of each file: PyTorch weights of teacher and student, and the files that ship."
    svg = _bars(entries, parts, axis, "megabytes (10⁶ bytes)", f"File size. {caption}", "MB")
    return Chart("size", "speed", "File size", caption, svg)


def _bar(series: int, x: float, width: float, y: float) -> str:
    return tag("rect", x=x, y=y - 8, width=max(width, 1.0), height=16, rx=2, class_=f"f{series % SERIES}")


def _bars(entries: list[dict], parts: list[str], axis: Axis, unit: str, label: str, head: str) -> str:
    bottom = 18 + 30 * len(entries)
    names = [text(short(e["artefact"], 20), 142, 34 + 30 * i, text_anchor="end") for i, e in enumerate(entries)]
    numbers = text(head, 520, 12, class_="small", text_anchor="end")
    return drawing(524, bottom + 44, label, bottom_axis(axis, 16, bottom, unit), *names, numbers, *parts)


def _legend(entries: list[dict]) -> tuple[tuple[str, str], ...]:
    return tuple((mark(i, 9, 9), entry["artefact"]) for i, entry in enumerate(entries))
