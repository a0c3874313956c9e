"""Several seeds as tables for the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.report.wording import DISPARITIES, SCORES, known_as


def print_summary(result: dict, console: Console) -> None:
    """Print what the seeds of one recipe show, and with a comparison what its tests allow to be said."""
    _spread_tables("", result["summary"], console)
    if "comparison" in result:
        _spread_tables("against: ", result["against"], console)
        _comparison_tables(result["comparison"], console)
    for name, bias in result["class_bias"].items():
        console.print(Text(bias_sentence(name, bias)), soft_wrap=True)


def bias_sentence(name: str, bias: dict | None) -> str:
    """Paper C's class-bias test in one sentence."""
    if bias is None:
        return f"Class bias, {name}: not tested, it takes two seeds of each."
    text = f"Class bias, {name}: {bias['raw']} of {bias['classes']} classes changed more than the model did "
    text += (
        f"(p < 0.05, Welch over seeds; {0.05 * bias['classes']:.1f} are expected by chance), {bias['holm']} after Holm"
    )
    text += f": {', '.join(bias['named'][:12])}" if bias["named"] else ""
    return text + (f"; {bias['undefined']} undefined." if bias["undefined"] else ".")


def claims(comparison: dict) -> list[str]:
    """One sentence an artefact on fairness: the word, or that none may be used, with test, p and number of seeds."""
    sentences = []
    for artefact, tests in comparison["artefacts"].items():
        test = tests["mean_abs_disparity"]
        undefined = test["p_holm"] is None or test["p_holm"] != test["p_holm"]
        p = "p undefined: no variance between the seeds" if undefined else f"p = {test['p_holm']:.3g} after Holm"
        n = " and ".join(dict.fromkeys(str(len(seeds)) for seeds in comparison["seeds"]))
        basis = f"({comparison['test']} of the mean absolute disparity, {p}, {n} seeds)"
        word = test["word"] if test["word"] in ("fairer", "less fair") else "not shown to be fairer or less fair"
        sentences.append(f"{artefact} is {word} {basis}.")
    return sentences


def _spread_tables(title: str, summary: dict, console: Console) -> None:
    seeds = ", ".join(map(str, summary["seeds"]))
    console.print(Text(f"{title}{len(summary['seeds'])} seeds ({seeds}); percent and points, t-interval over seeds\n"))
    for artefact, metrics in summary["artefacts"].items():
        table = _table(artefact, "mean", "95 % interval", "range", "noise floor")
        for metric, spread in metrics.items():
            floor = _points(spread["floor"]) if "floor" in spread else ""
            mean = _points(spread["mean"]) + (
                f" ({spread['undefined']} of {spread['n']})" if spread["undefined"] else ""
            )
            table.add_row(called(metric), mean, _ends(spread["interval"]), _ends(spread["range"]), floor)
        console.print(table)


def _comparison_tables(comparison: dict, console: Console) -> None:
    console.print(Text(f"runs minus --against, {comparison['test']}; Holm over the metrics of an artefact\n"))
    for artefact, tests in comparison["artefacts"].items():
        table = _table(artefact, "difference", "95 % interval", "p", "Holm", "word")
        for metric, test in tests.items():
            numbers = (
                _points(test["difference"]),
                _ends(test["interval"]),
                _chance(test["p"]),
                _chance(test["p_holm"]),
            )
            table.add_row(called(metric), *numbers, test["word"])
        console.print(table)
    for sentence in claims(comparison):
        console.print(Text(sentence), soft_wrap=True)


def _table(first: str, *columns: str) -> Table:
    """A table whose first column is headed by the artefact's name."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(first, style="bold"), min_width=23)
    for name in columns:
        table.add_column(name, justify="left" if name == "word" else "right", no_wrap=name != "word")
    return table


def called(metric: str) -> str:
    """The name of a metric."""
    return known_as(DISPARITIES if metric in DISPARITIES else SCORES, metric)[0]


def _points(value: float) -> str:
    return "undefined" if value != value else f"{round(100 * value, 1) + 0.0:.1f}"


def _ends(ends: list[float]) -> str:
    return "undefined" if ends[0] != ends[0] else f"{_points(ends[0])} to {_points(ends[1])}"


def _chance(p: float) -> str:
    return "undefined" if p != p else f"{p:.3f}" if p >= 0.001 else "< 0.001"
