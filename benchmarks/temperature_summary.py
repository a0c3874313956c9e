"""From predictions of many networks to the figures of `temperature.py`: classes, groups, disagreement, over seeds."""

from dataclasses import dataclass, field

import numpy as np

from edgefair.data import Examples
from edgefair.metrics import confusion, demographic_parity_difference, equalized_odds_difference, recall
from edgefair.metrics.noise_floor import noise_floor
from edgefair.seeds import generator
from edgefair.significance import class_bias, disagreement

ALONE, TEACHER = "alone", "teacher"
GROUP_FIGURES = {
    "dpd_points": demographic_parity_difference,
    "eod_points": equalized_odds_difference,
}
ALPHA = 0.05
PAPERS_TEMPERATURE = 9  # of figure 1; the nearest one measured stands for it


@dataclass
class Predicted:
    """What the networks of one data set said of the gate rows: classes[network][seed], int64 [N]."""

    num_classes: int
    num_groups: int
    rows: dict[str, int]
    labels: dict[int, np.ndarray] = field(default_factory=dict)
    groups: dict[int, np.ndarray] = field(default_factory=dict)
    classes: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)

    def table(self, network: str, seed: int) -> np.ndarray:
        """Confusion [G, C, C] of one network."""
        said = self.classes[network][seed]
        return confusion(self.labels[seed], said, self.groups[seed], self.num_classes, self.num_groups)


class Found:
    """All predictions so far, by data set."""

    def __init__(self) -> None:
        self.data: dict[str, Predicted] = {}

    def add(self, name: str, network: str, seed: int, examples: Examples, classes: np.ndarray) -> None:
        """Take in the classes [N] that a network of this seed says of the gate rows."""
        at = examples.rows["gate"]
        rows = {split: len(members) for split, members in examples.rows.items()}
        fresh = Predicted(len(examples.class_names), len(examples.group_names), rows)
        one = self.data.setdefault(name, fresh)
        one.labels[seed], one.groups[seed] = examples.labels[at], examples.groups[at]
        one.classes.setdefault(network, {})[seed] = classes

    def figures(self, name: str) -> dict:
        """JSON values of one data set; every comparison takes the seeds that both networks have."""
        one = self.data[name]
        students = [network for network in one.classes if network != TEACHER]
        finished = min(len(seeds) for seeds in one.classes.values())
        return {
            "seeds": finished,
            "rows": one.rows,
            "networks": {network: row(one, network) for network in one.classes},
            "highest_temperature_less_lowest": change(one, students),
            "disagreement": disagreements(one),
        }


def row(one: Predicted, network: str) -> dict:
    """Figures of a network over its seeds, in percent and points, and the classes that differ from the two others."""
    tables = {seed: one.table(network, seed) for seed in sorted(one.classes[network])}
    figures = {"accuracy": spread([accuracy(table) for table in tables.values()])}
    if one.num_groups > 1:
        for key, metric in GROUP_FIGURES.items():
            figures[key] = spread([100 * float(metric(table)) for table in tables.values()])
        figures["eod_noise_floor_points"] = spread([floor(table, seed) for seed, table in tables.items()])
    for other in (ALONE, TEACHER):
        if network not in (ALONE, TEACHER) and (seeds := common_seeds(one, network, other)):
            figures[f"classes_differ_from_{other}"] = differing(one, network, other, seeds)
    if network != TEACHER and (seeds := common_seeds(one, network, TEACHER)):
        shares = [100 * float(np.mean(one.classes[network][s] != one.classes[TEACHER][s])) for s in seeds]
        figures["disagrees_with_teacher_percent"] = spread(shares)
    return figures


def differing(one: Predicted, network: str, other: str, seeds: list[int]) -> dict:
    """Welch's test of class bias over seeds: how many classes, raw and after Holm, and all p-values."""
    if len(seeds) < 2:
        return {"raw": None, "holm": None, "classes": one.num_classes, "seeds": len(seeds)}
    sides = []
    for each in (network, other):
        tables = [one.table(each, seed).sum(0) for seed in seeds]  # [C, C]
        sides += [np.stack([recall(table[None])[0] for table in tables]), [accuracy(table) / 100 for table in tables]]
    found = class_bias(*sides, ALPHA)
    p = [None if np.isnan(value) else float(value) for value in found.test.p]
    return {
        "raw": found.raw_count,
        "holm": found.holm_count,
        "classes": one.num_classes,
        "seeds": len(seeds),
        "p": p,
    }


def change(one: Predicted, students: list[str]) -> dict:
    """Students at the highest temperature less those at the lowest, paired by seed: mean, deviation, n, in points."""
    distilled = sorted((name for name in students if name != ALONE), key=degrees)
    if len(distilled) < 2:
        return {}
    low, high = distilled[0], distilled[-1]
    seeds = common_seeds(one, low, high)
    metrics = {"accuracy": lambda table: accuracy(table)}
    if one.num_groups > 1:
        metrics |= {key: lambda table, f=metric: 100 * float(f(table)) for key, metric in GROUP_FIGURES.items()}
    differences = {
        key: spread([metric(one.table(high, seed)) - metric(one.table(low, seed)) for seed in seeds])
        for key, metric in metrics.items()
    }
    return {"from": low, "to": high, **differences} if seeds else {}


def disagreements(one: Predicted) -> dict:
    """Figure 1: rows by the teacher's class and the student's where they differ, [C][C], summed over seeds."""
    distilled = sorted((name for name in one.classes if name not in (ALONE, TEACHER)), key=degrees)
    nearest = min(distilled, key=lambda name: abs(degrees(name) - PAPERS_TEMPERATURE), default=None)
    found = {}
    for network in filter(None, (ALONE, nearest)):
        if seeds := common_seeds(one, network, TEACHER):
            parts = [disagreement(one.classes[TEACHER][s], one.classes[network][s], one.num_classes)[0] for s in seeds]
            found[network] = {"seeds": len(seeds), "teacher_by_student": np.sum(parts, 0).tolist()}
    return found


def common_seeds(one: Predicted, network: str, other: str) -> list[int]:
    """The seeds of which both networks are there."""
    return sorted(set(one.classes.get(network, {})) & set(one.classes.get(other, {})))


def degrees(network: str) -> float:
    """The temperature in a student's name."""
    return float(network.removeprefix("T "))


def accuracy(table: np.ndarray) -> float:
    """Percent of the rows of a confusion table [.., C, C] that are right."""
    return 100 * float(np.trace(table, axis1=-2, axis2=-1).sum() / table.sum())


def floor(table: np.ndarray, seed: int) -> float:
    """Equalized odds difference that chance alone would show, in points."""
    found = noise_floor(table, "equalized_odds_difference", 200, generator(seed, "benchmark", "noise floor"))
    return 100 * float(found.mean)


def spread(values: list[float]) -> dict:
    """Mean, standard deviation over seeds (n - 1) and n."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)) if values else None, "std": deviation, "n": len(values)}
