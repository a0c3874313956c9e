"""A latency file on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.latency.rules import headline
from edgefair.report.terminal.tables import line, plain_table

TIMES = ("p50_ms", "p90_ms", "p90_upper_ms", "p99_ms")


def show(record: dict, checks: list[dict], console: Console) -> None:
    """Times and ratios, what the files are and need, then every check."""
    console.print(_times(record))
    console.print(_files(record))
    for text in notes(record):
        line(console, text, "dim")
    for check in checks:
        line(console, Text.assemble((check["outcome"].upper(), "bold"), f" {check['artefact']}: {check['sentence']}"))


def _times(record: dict) -> Table:
    what = headline(record["scenario"])
    table = plain_table(("artefact",), ("batch", "p50 ms", "p90", "p90 <=", "p99", "images/s", "speedup"), ("shown",))
    for name, rows in record["artefacts"].items():
        for batch, row in rows.items():
            found = row.get("speedup", {}).get(what)
            numbers = [_number(row[key]) for key in TIMES]
            speedup = (_ratio(found), found["word"]) if found else ("", "")
            table.add_row(name, batch, *numbers, f"{row['images_per_s']:,.0f}", *speedup)
    return table


def _files(record: dict) -> Table:
    table = plain_table(("artefact", "runtime"), ("MB", "load ms", "first call ms", "memory MB", "GPU MB", "J/image"))
    for name, file in record["files"].items():
        needs = [_number(file.get(key)) for key in ("load_ms", "first_call_ms", "memory_mb", "gpu_memory_mb")]
        rows = record["artefacts"][name]
        joules = _number(next(iter(rows.values()))["joules_per_image"]) if rows else _number(None)
        table.add_row(
            name, f"{file['runtime']} {file['version'].split('-')[0]}", f"{file['bytes'] / 1e6:.2f}", *needs, joules
        )
    return table


def notes(record: dict) -> list[str]:
    """What the numbers mean and where they were taken, one sentence a line."""
    rules, at, preprocessing = record["rules"], record["clocks"], record["preprocessing"]
    unit = "images" if rules["scenario"] == "offline" else "calls"
    mlperf = "MLPerf's rules in full" if rules["mlperf"] else "MLPerf's rules, shortened"
    lines = [
        f"{rules['scenario']}, {mlperf}: at least {rules['minimum']:,} {unit} and {rules['seconds']:g} s of each "
        f"artefact, in {rules['rounds']} rounds of random order, after {rules['warmup']} calls that are not counted.",
        "p90 <=: the 90th percentile is below this with 99 % confidence (early stopping; from 64 calls on). speedup: "
        "time of the first over time of this, by round: median and 95 % interval of "
        + ("throughput." if rules["scenario"] == "offline" else "the median call."),
        f"Preprocessing {'is' if preprocessing['included'] else 'is not'} in the times ({preprocessing['what']}; "
        f"{preprocessing['source']}).",
        f"{record['threads']} thread(s), cores {', '.join(map(str, at['cores']))} of {record['machine']['processor']}; "
        f"governor {at['governor'] or 'not reported'}, MHz {_list(at['mhz'])}; energy: {record['energy']}.",
    ]
    if "null" in record["artefacts"]:
        own = next(iter(record["artefacts"]["null"].values()))
        lines.append(f"The harness itself takes {own['p90_ms']:.4f} ms (p90 of null, a runtime that computes nothing).")
    lines += [f"{name}: no load time or memory, {reason}" for name, reason in _failed(record)]
    return lines + [_control(batch, one) for batch, one in record["control"].items()]


def _failed(record: dict) -> list[tuple[str, str]]:
    return [(name, file["failed"]) for name, file in record["files"].items() if "failed" in file]


def _control(batch: str, one: dict) -> str:
    state = "quiet enough to compare" if one["quiet"] else "TOO NOISY: all comparisons are inconclusive"
    return f"Batch {batch}: {one['of']} loaded twice, one beside the other: {_ratio(one)}: {state}."


def _ratio(found: dict) -> str:
    low, high = found["interval"]
    return f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})"


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "not reported"
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"


def _list(values: list | None) -> str:
    return ", ".join(map(str, values)) if values else "not reported"
