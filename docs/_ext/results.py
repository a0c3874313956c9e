"""The records of benchmarks/results as Markdown: what each one claims, where it was measured, and its figures."""

import ast
import json
import re
from pathlib import Path

from result_tables import TABLES, Table

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
FACTS = ("date", "machine", "versions", "seeds", "seed", "n_seeds", "n")
LONGEST_TEXT = 220
MOST_SETTINGS = 12  # a part with more entries is left to the record
HEADINGS = {
    "accuracy": "accuracy, %",
    "auroc": "AUROC, %",
    "macro_f1": "macro F1, %",
    "deo_mean": "DEO mean, points",
    "deo_max": "DEO max, points",
    "deo_max_points": "DEO max, points",
    "noise_floor": "noise floor, points",
    "disparity": "recall gap, points",
    "disparity_points": "mean recall gap, points",
    "worst_group": "worst group, %",
    "worst_group_drop": "largest loss of a group, points",
    "accuracy_change": "accuracy, change in points",
    "worst_group_change": "worst group, change in points",
    "disparity_change": "recall gap, change in points",
    "flips": "changed predictions, %",
    "flips_worst_group": "changed predictions of the worst group, %",
    "flip_percent": "discordant rows, %",
    "kept": "operators in float",
    "times_float": "time, float = 1",
    "bytes": "KB",
    "own_mb_after_reading_all": "own memory after reading all, MB",
    "p90_upper_ms": "p90, 99 % upper estimate, ms",
    "images_per_s": "images/s",
    "speedup/p50": "times as fast as the first",
    "of_supervised": "supervised step = 1",
    "of_floor": "floor = 1",
    "all_reach_85_percent": "all reach 85 %",
    "boundary_points": "points of the grid with a tolerance at the boundary",
    "peak_memory_gib": "peak memory, GiB",
}
UNITS = {"_percent": ", %", "_points": ", points", "_ms": ", ms", "_mb": ", MB", "_seconds": ", seconds"}
ONE_DECIMAL = re.compile(
    r"percent|points|accuracy|f1|deo|noise_floor$|flips|group|disparity(?!_left|_over)|drop|_mb$|change"
)


def page(path: Path) -> str:
    """One record: heading, the claim in its script's words, facts, tables, and what else was set."""
    record = json.loads(path.read_text())
    script = script_of(path.stem)
    tables = TABLES.get(path.stem, whole(record))
    parts = [
        f"## {path.stem}",
        claim(script),
        _table(["measured", ""], facts(record, script, path)),
    ]
    if "claims" in record:
        tables = (Table("Claims", "claims"), *tables)
    parts += [text for table in tables for text in (f"**{table.title}**", render(record, table))]
    used = {name for t in tables for name in ([t.rows.split("/")[0]] if t.rows else t.columns)} | set(FACTS)
    settings, omitted = rest({key: value for key, value in record.items() if key not in used})
    if settings:
        parts += ["**Settings and other figures**", _table(["", "value"], settings)]
    if omitted:
        parts.append(f"Also in the record: {', '.join(f'`{name}`' for name in omitted)}.")
    if (picture := path.with_suffix(".svg")).exists():
        parts.append(f"![Figures of {path.stem}](../benchmarks/results/{picture.name})")
    return "\n\n".join(parts) + "\n"


def script_of(stem: str) -> Path:
    """The benchmark that wrote a record: the script with the longest name that the record's name begins with."""
    scripts = [p for p in BENCHMARKS.glob("*.py") if stem.replace("-", "_").startswith(p.stem)]
    if not scripts:
        raise LookupError(f"no script in benchmarks/ belongs to benchmarks/results/{stem}.json")
    return max(scripts, key=lambda path: len(path.stem))


def claim(script: Path) -> str:
    """What a script says of itself; words that it explains with a hanging indent become a list."""
    text = ast.get_docstring(ast.parse(script.read_text())) or ""
    return re.sub(r"^(\w+) {2,}(?=\S)", r"- **\1**: ", text, flags=re.MULTILINE)


def whole(record: dict) -> tuple[Table, ...]:
    """Tables of a record that nobody described: each part of it that holds others."""
    nested = {key: value for key, value in record.items() if isinstance(value, dict) and key not in (*FACTS, "claims")}
    deep = {key: all(isinstance(each, dict) for each in value.values()) for key, value in nested.items()}
    return tuple(Table(heading(key).capitalize(), f"{key}/*" if deep[key] else key) for key in nested)


def facts(record: dict, script: Path, path: Path) -> list[list[str]]:
    """Rows of the table that says where, when, with what and how often it was measured, and where the record is."""
    machine = record["machine"]
    rows = [
        [
            "on",
            f"{record['date']}, {machine['processor']}, {machine['cores']} core{'s' * (machine['cores'] != 1)} "
            f"({', '.join(machine['instructions']) or 'no vector instructions'}), {machine['system']}",
        ],
        ["with", ", ".join(f"{k} {v}" for k, v in {"Python": machine["python"], **record["versions"]}.items() if v)],
    ]
    seeds = [f"{heading(key)}: {cell(key, record[key])}" for key in FACTS[3:] if key in record]
    if seeds:
        rows.append(["repeated", "; ".join(seeds)])
    rows.append(["by", f"`benchmarks/{script.name}`"])
    files = [file for file in (path, path.with_suffix(".csv")) if file.exists()]
    links = (f"{{download}}`{file.name} <../benchmarks/results/{file.name}>`" for file in files)
    rows.append(["record", ", ".join(links)])
    return rows


def render(record: dict, table: Table) -> str:
    """A table of a record as Markdown."""
    if "*" not in table.rows:
        (_, row), *_ = _rows(record, table.rows)
        names = table.columns or tuple(_flat(row[-1]))
        pairs = [(name, value) for name in names for value in [_at(row, name)] if value is not None]
        return _table(["", "value"], [[heading(n), cell(n, v)] for key, part in pairs for n, v in _spread(key, part)])
    rows = _rows(record, table.rows)
    rows = [(keys, row) for keys, row in rows if isinstance(row[-1], dict)]
    columns = table.columns or tuple(dict.fromkeys(name for _, row in rows for name in _flat(row[-1])))
    names = [_label(table, keys, row) for keys, row in rows]
    body = [[name, *(cell(c, _at(row, c)) for c in columns)] for name, (_, row) in zip(names, rows, strict=True)]
    if not any(names):
        return _table([heading(c) for c in columns], [line[1:] for line in body])
    return _table(["", *(heading(c) for c in columns)], body)


def _rows(record, path: str) -> list[tuple[list[str], list]]:
    """Keys that the steps `*` took, and the chain of what was gone through, from the record to the row."""
    found = [([], [record])]
    for step in filter(None, path.split("/")):
        members = [(keys, chain, key) for keys, chain in found for key in (_keys(chain[-1]) if step == "*" else [step])]
        named = [isinstance(chain[-1], dict) and step == "*" for _, chain, _ in members]
        found = [
            (keys + ([key] if name else []), [*chain, chain[-1][key]])
            for (keys, chain, key), name in zip(members, named, strict=True)
        ]
    return found


def _keys(value):
    return range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else []


def _label(table: Table, keys: list[str], row: list) -> str:
    own = [keys[-1] if path == "." else _with_name(path, _at(row, path)) for path in table.labels]
    return ", ".join(own or keys)


def _with_name(path: str, value) -> str:
    name = path.rsplit("/", 1)[-1]
    return f"{name} {value:g}" if isinstance(value, int | float) else str(value)


def _at(chain: list, path: str):
    """What stands at a path from the end of a chain; None where there is nothing."""
    chain = list(chain)
    while path.startswith("../"):
        path = path[3:]
        chain.pop()
    value = chain[-1]
    for name in _steps(value, path):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _steps(value, path: str) -> list[str]:
    return [path] if isinstance(value, dict) and path in value else path.split("/")


def _flat(value: dict) -> dict:
    """Nested figures by `key/key`; what `cell` shows as one stays together."""
    return dict(pair for key, part in value.items() for pair in _spread(key, part)) if isinstance(value, dict) else {}


def _spread(key: str, value) -> list[tuple]:
    if isinstance(value, dict) and _summary(value) is None:
        return [(f"{key}/{name}", each) for name, each in _flat(value).items()]
    return [(key, value)] if "sha256" not in key else []


def rest(record: dict) -> tuple[list[list[str]], list[str]]:
    """What no table shows: rows of name and value, and the names of parts that are too large."""
    rows, omitted = [], []
    for key, value in record.items():
        pairs = _spread(key, value)
        parts = [part for _, each in pairs for part in (each if isinstance(each, list) else [each])]
        long = any(isinstance(part, dict) or len(str(part)) > LONGEST_TEXT for part in parts)
        if long or max(len(pairs), len(parts)) > MOST_SETTINGS:
            omitted.append(key)
        else:
            rows += [[heading(name), cell("", each)] for name, each in pairs]
    return rows, omitted


def heading(name: str) -> str:
    """A key in words, with its unit."""
    name = name.removeprefix("../")
    if name in HEADINGS:
        return HEADINGS[name]
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix).replace("_", " ").replace("/", ", ") + unit
    return name.replace("_", " ").replace("/", ", ")


def cell(name: str, value) -> str:
    """A figure as it is shown: with its spread where the record has one."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(name, value)
    if isinstance(value, list):
        return ", ".join(cell(name, each) for each in value)
    if isinstance(value, dict):
        return _summary(value, name) or ", ".join(f"{key} {cell(key, each)}" for key, each in _flat(value).items())
    return str(value).replace("|", "\\|").replace("\n", " ")


def _summary(value: dict, name: str = "") -> str | None:
    """A mean with its deviation, a median with its range, or a ratio with its interval, as one; else None."""
    if {"mean", "std"} <= set(value):
        spread = f" ± {number(name, value['std'])}" if value["std"] is not None else ""
        return number(name, value["mean"]) + spread
    if {"median", "min", "max"} <= set(value):
        middle, least, most = (number(name, value[key]) for key in ("median", "min", "max"))
        return middle if least == most else f"{middle} ({least} to {most})"
    if {"ratio", "interval"} <= set(value):
        low, high = (f"{each:.2f}" for each in value["interval"])
        said = f"; {value['word']}" if "word" in value else ""
        said += f"; {value['needed']:g} needed: {'met' if value['met'] else 'not met'}" if "needed" in value else ""
        return f"{value['ratio']:.2f} ({low} to {high}){said}"
    return None


def number(name: str, value: float) -> str:
    """A number: thousands apart, a decimal for percent and points, two decimals under ten, else three digits."""
    if name.rsplit("/", 1)[-1] == "bytes":
        return f"{value / 1000:,.0f}"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if ONE_DECIMAL.search(name):
        return f"{value:.1f}".replace("-0.0", "0.0")
    two = name == "auroc" or (name and 0.1 <= abs(value) < 10)
    return f"{value:.2f}" if two else f"{value:.3g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown() -> str:
    """All records, one section each."""
    return "\n".join(page(path) for path in sorted(RESULTS.glob("*.json")))


if __name__ == "__main__":
    print(markdown())
