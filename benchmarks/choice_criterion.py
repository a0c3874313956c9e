"""By what figure a recipe is chosen on few validation rows, and how often a search claims what is not there.

    python benchmarks/choice_criterion.py      # a minute on an idle core; writes choice-criterion.json

Students are drawn, not trained: scores of each class with a signal on the true one, less of it in some cells, pull
towards a look-alike class, noise that students share, and a confidence of their own. Their true gaps are read from
many rows. Regret: how far the true gap of the chosen student is above the least one, mean over repetitions.

What was tried and dropped: the probability of the true class at a calibrated temperature. It has little noise, but a
student that one temperature cannot calibrate looks fair (six groups of two classes: more than ten points of regret).
"""

import numpy as np
from common import record

from edgefair.metrics import mean_abs_disparity
from edgefair.metrics.group_spread import cells_of, squared_spread
from edgefair.metrics.honest_choice import Objective, Scored, honest_choice
from edgefair.metrics.performance import softmax
from edgefair.predictions import LabelledRows

STUDENTS, REPETITIONS, MANY = 8, 100, 600
# groups, classes, validation rows a cell, strength of the signal
SHAPES = {
    "2 groups, 10 classes, 30 rows a cell": (2, 10, 30, 2.0),
    "2 groups, 10 classes, 100 rows a cell": (2, 10, 100, 2.0),
    "7 groups, 2 classes, 25 rows a cell": (7, 2, 25, 1.5),
    "2 groups, 3 classes, 40 rows a cell": (2, 3, 40, 1.0),
    "6 groups, 2 classes, 20 rows a cell": (6, 2, 20, 1.0),
}
CRITERIA = (
    "max - min of recalls",
    "probability of the true class, calibrated",
    "smoothed, max - min",
    "smoothed spread",
)


def rows_of(groups: int, classes: int, per_cell: int) -> LabelledRows:
    owner, label = (np.repeat(part.ravel(), per_cell) for part in np.indices((groups, classes)))
    names = [tuple(f"{kind}{i}" for i in range(n)) for kind, n in (("c", classes), ("g", groups))]
    ids = np.arange(len(label)).astype(str)
    return LabelledRows(ids=ids, labels=label, groups=owner, class_names=names[0], group_names=names[1])


class Students:
    """Students of different gaps, from whom rows can be drawn."""

    def __init__(self, groups: int, classes: int, signal: float, rng: np.random.Generator):
        self.rng = rng
        self.factor = np.concatenate([[1.0], rng.uniform(0.2, 1.2, STUDENTS - 1)])
        cell = 0.4 * rng.normal(size=(groups, classes))
        own = 0.1 * rng.normal(size=(STUDENTS, groups, classes))
        self.signal = rng.normal(signal, 0.3, classes) + self.factor[:, None, None] * cell + own
        self.confidence = np.exp(0.4 * rng.normal(size=STUDENTS))

    def draw(self, rows: LabelledRows) -> list[np.ndarray]:
        """Logits of every student."""
        n, classes = len(rows.ids), len(rows.class_names)
        shared, at = self.rng.normal(size=(n, classes)), np.arange(n)
        partner = np.minimum(rows.labels ^ 1, classes - 1)
        found = []
        for student in range(STUDENTS):
            logits = np.sqrt(0.6) * shared + np.sqrt(0.4) * self.rng.normal(size=(n, classes))
            logits[at, rows.labels] += self.signal[student, rows.groups, rows.labels]
            logits[at, partner] += 1.2 * self.factor[student] * ((rows.groups + rows.labels) % 2)
            found.append(self.confidence[student] * logits)
        return found


def calibrated(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """softmax(z / T)[y] at the most likely of 49 temperatures."""
    at = np.arange(len(labels))
    every = [softmax(np.exp(log) * logits)[at, labels] for log in np.linspace(-4, 4, 49)]
    return max(every, key=lambda one: np.log(one.clip(1e-12)).mean())


def max_min(values: np.ndarray, member: np.ndarray, classes: int) -> np.ndarray:
    means = (values @ member / member.sum(axis=0)).reshape(len(values), -1, classes)
    return (means.max(axis=1) - means.min(axis=1)).mean(axis=1)


def regrets(shape: tuple, rng: np.random.Generator) -> dict:
    """Mean regret in points of each criterion, and of keeping the plain twin, student 0."""
    groups, classes, per_cell, signal = shape
    rows, many = rows_of(groups, classes, per_cell), rows_of(groups, classes, MANY)
    member = cells_of(rows.labels, rows.groups, classes, groups)
    lost = {name: [] for name in ("the plain twin", *CRITERIA)}
    for _ in range(REPETITIONS):
        students = Students(groups, classes, signal, rng)
        truth = Scored(many, students.draw(many)).disparity()
        scored = Scored(rows, logits := students.draw(rows))
        soft = np.stack([calibrated(one, rows.labels) for one in logits])
        figures = (
            scored.disparity(),
            squared_spread(soft, member, classes),
            max_min(scored.smoothed, member.astype(float), classes),
            scored.squared(),
        )
        lost["the plain twin"].append(truth[0] - truth.min())
        for name, figure in zip(CRITERIA, figures, strict=True):
            lost[name].append(truth[figure.argmin()] - truth.min())
    return {name: 100 * float(np.mean(values)) for name, values in lost.items()}


def claims(effect: float, rng: np.random.Generator) -> dict:
    """How often a search says that it helped, where all students but the first have a gap that is less by `effect`."""
    rows, objective = rows_of(3, 2, 60), Objective("gap", 0.05)
    said, honest, naive = [], [], []
    for _ in range(REPETITIONS):
        logits = []
        for student in range(STUDENTS):
            lift = 1.2 - (0.5 - effect * (student > 0)) * rows.groups
            logits.append(rng.normal(size=(len(rows.ids), 2)) + lift[:, None] * np.eye(2)[rows.labels])
        scored = Scored(rows, logits)

        def choose(at, scored=scored):
            return int(objective.scores(scored.accuracy(at), scored.gap(at)).argmin())

        best, found = choose(slice(None)), honest_choice(scored, choose, 25, rng)
        said.append(best != 0 and found.shows_less(objective))
        honest.append(found.disparity)
        naive.append(np.diff([mean_abs_disparity(scored.table(one)) for one in (0, best)])[0])
    return {
        "claimed_percent": 100 * float(np.mean(said)),
        "naive_change_points": 100 * float(np.mean(naive)),
        "honest_change_points": 100 * float(np.mean(honest)),
        "honest_standard_error_points": 100 * float(np.std(honest) / np.sqrt(len(honest))),
    }


def main() -> None:
    shapes = {name: regrets(shape, np.random.default_rng(0)) for name, shape in SHAPES.items()}
    record(
        "choice-criterion",
        {
            "command": "python benchmarks/choice_criterion.py",
            "n": REPETITIONS,
            "students": STUDENTS,
            "regret_points": shapes,
            "no_effect": claims(0.0, np.random.default_rng(1)),
            "effect": claims(0.4, np.random.default_rng(2)),
        },
    )


if __name__ == "__main__":
    main()
