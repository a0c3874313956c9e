"""Numbers as a reader sees them: percent, points, milliseconds, hashes; "undefined" where there is none."""

import re

UNITS = {"points": "points", "percent": "%", "ratio": "", "latency_p90_ms": "ms", "size_mb": "MB"}
NONE = "undefined"


def hundredths(share: float | None, digits: int = 1) -> str:
    """A share of one as percent or points, without the unit."""
    return NONE if share is None else f"{round(100 * share, digits) + 0.0:.{digits}f}"  # no "-0.0"


def significant(value: float | None, digits: int = 3) -> str:
    """Three significant digits, without an exponent; whole thousands with a comma."""
    if value is None:
        return NONE
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.1g}"


def interval(ends: list | None) -> str:
    """Both ends of an interval of shares, in percent."""
    return "" if not ends or None in ends else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def chance(p: float | None) -> str:
    """A permutation p-value; it cannot be smaller than one over the number of draws."""
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def measured(value: float | None, unit: str) -> str:
    """A check's number with its unit."""
    if value is None:
        return NONE
    digits = 3 if unit in ("latency_p90_ms", "size_mb") else 2
    number = significant(value) if digits == 3 else f"{round(value, 2) + 0.0:.2f}"
    return f"{number}\u00a0{UNITS.get(unit, '')}".rstrip("\u00a0")


def worst_group(groups: list[dict]) -> str:
    """The lowest group accuracy, in percent; undefined where a declared group has no rows."""
    rates = [group["accuracy"] for group in groups]
    return NONE if not rates or None in rates else f"{100 * min(rates):.1f}"


def flips(entry: dict) -> str:
    """The share of changed predictions beside the reference, in percent; a dash for what has no reference."""
    checks = entry["verdict"]["checks"] if "verdict" in entry else []
    return next((hundredths_of(check["value"]) for check in checks if check["name"] == "flip_rate"), "–")


def hundredths_of(percent: float | None) -> str:
    """A number that already is in percent."""
    return NONE if percent is None else f"{percent:.1f}"


def plainly(value: object) -> str:
    """Any value of report.json as text: numbers with up to four digits."""
    return NONE if value is None else f"{value:,.4g}" if isinstance(value, int | float) else str(value)


def listed(value: object) -> str:
    """A fact that a runtime or builder recorded, whatever its type."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(map(listed, value)) or "none") if isinstance(value, list) else plainly(value)


def fixed(value: float | None) -> str:
    """A number of percent or points with one digit."""
    return NONE if value is None else f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def machine(about: dict) -> str:
    """The machine in one line."""
    known = {
        "processor": "{}",
        "cores": "{} cores",
        "system": "{}",
        "python": "Python {}",
        "instructions": "instructions {}",
    }
    texts = {k: " + ".join(v) if isinstance(v, list) else str(v) for k, v in about.items() if v not in ("", [], None)}
    return ", ".join(known.get(key, key.replace("_", " ") + " {}").format(text) for key, text in texts.items())


def moment(text: str) -> str:
    """An ISO time as date and minute."""
    return text[:16].replace("T", " ") + (" UTC" if text.endswith(("+00:00", "Z")) else text[19:])


def one_line(value: object) -> str:
    """A name without line breaks and control characters."""
    return visible(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(value)))


def visible(text: str) -> str:
    """Text whose characters stand in the order in which they are read: overrides of direction show as a mark."""
    return re.sub("[\u202a-\u202e\u2066-\u2069]", "\ufffd", text)


def cell(value: object) -> str:
    """A name that may stand in a Markdown table: nothing in it is a link, a tag, a column or a new line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$])", r"\\\1", one_line(value))


FILTERS = {
    name.__name__: name
    for name in (
        hundredths,
        significant,
        interval,
        chance,
        measured,
        fixed,
        plainly,
        listed,
        worst_group,
        flips,
        machine,
        moment,
        cell,
    )
}
