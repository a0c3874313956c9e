"""The report in words: what each number is called, and what an outcome means for somebody who is no engineer."""

from edgefair.report.formatting import NONE, hundredths, measured
from edgefair.report.outcomes import OUTCOMES, check_name

SCORES = {
    "accuracy": ("Accuracy", "share of the rows that are predicted right"),
    "macro_precision": (
        "Macro precision",
        "of the rows predicted as a class, the share that is right; mean over classes",
    ),
    "macro_recall": ("Macro recall", "of the rows of a class, the share that is recognised; mean over classes"),
    "macro_f1": ("Macro F1", "harmonic mean of precision and recall; mean over classes"),
    "weighted_precision": ("Weighted precision", "the same, each class weighted by its rows"),
    "weighted_recall": ("Weighted recall", "each class weighted by its rows: the accuracy under its other name"),
    "weighted_f1": ("Weighted F1", "each class weighted by its rows"),
    "auroc": (
        "AUROC",
        "chance that a row of a class scores higher for it than a row of another class; 50 % is guessing",
    ),
}
DISPARITIES = {
    "mean_abs_disparity": ("Mean absolute disparity", "recall of the best minus the worst group; mean over classes"),
    "deo_mean": ("DEO mean", "difference in equalised opportunity: the same number under its other name"),
    "deo_max": ("DEO max", "the same gap for the class where it is largest"),
    "demographic_parity_difference": ("Demographic parity", "how unequally often a class is predicted; worst class"),
    "demographic_parity_difference_mean": ("Demographic parity, mean", "the same, mean over classes"),
    "equalized_odds_difference": ("Equalised odds", "larger gap of true and of false positive rate; worst class"),
    "equalized_odds_difference_mean": ("Equalised odds, mean", "the same, mean over classes"),
    "accuracy_gap": ("Accuracy gap", "accuracy of the best minus the worst group"),
}  # fmt: skip
EVIDENCE = {
    "smallest_cell_rows": ("Gate rows of the smallest class and group", ""),
    "largest_cell_rows": ("Gate rows of the largest class and group", ""),
    "tolerance_mean_drift_points": ("Allowed change of the mean gap, points", ""),
    "supported_points": ("Smallest change of the mean gap that these rows can rule out, points", ""),
}
MEANING = {
    "pass": "Every judged model keeps within the tolerances fixed before the run, on images like these.",
    "fail": "Not fit to ship by the tolerances fixed before the run: {fail} broke at least one.",
    "inconclusive": "No tolerance was broken, but there is not enough evidence that {inconclusive} kept within them. "
    "This is not a pass.",
}


def _named(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def meaning(report: dict, judged: list[dict]) -> str:
    """One plain sentence of what the outcome means, naming the models it rests on and those that could not be run."""
    names = {o: _named([e["artefact"] for e in judged if e["outcome"] == o]) for o in OUTCOMES}
    outcome, unseen = report["outcome"], _named([e["artefact"] for e in report.get("unverified", [])])
    text = MEANING[outcome].format(**names)
    if outcome == "inconclusive" and unseen and not names["inconclusive"]:
        text = f"{MEANING['pass']} Yet this is not a pass."
    if outcome == "fail" and names["inconclusive"]:
        text += f" Not enough evidence about: {names['inconclusive']}."
    return text + (f" Not verified on a device, and so not passed: {unseen}." if unseen else "")


def verdict_in_words(entry: dict, reference: dict) -> str:
    """The verdict on one artefact beside its reference, for a reader without statistics."""
    checks = [check for check in entry["verdict"]["checks"] if check["gated"]] + entry["limits"]
    beside = reference["artefact"]
    broken = [_broken(check) for check in checks if check["outcome"] == "fail"]
    unsure = [_unsure(check) for check in checks if check["outcome"] == "inconclusive"]
    if broken:
        text = f"Beside {beside} it broke {len(broken)} of {len(checks)} tolerances: {'; '.join(broken)}."
    elif unsure:
        text = f"Beside {beside} it broke no tolerance, but there are too few rows to be sure of {'; '.join(unsure)}."
    else:
        text = f"Beside {beside} it kept all {len(checks)} tolerances, with the certainty that was asked for."
    return f"{text} {_numbers(entry['metrics'], reference['metrics'])}"


def known_as(table: dict[str, tuple[str, str]], name: str) -> tuple[str, str]:
    """What a number is called and what it means; one that has no words of its own goes by its name."""
    return table.get(name) or (human(name), "")


def human(name: str) -> str:
    """A field's name as words."""
    return name.replace("_", " ").capitalize()


def _broken(check: dict) -> str:
    if check["name"] == "collapse":
        return check["sentence"].removeprefix("fails: ").removesuffix(".")
    unit = check.get("unit", check["name"])
    allowed = f"{measured(check['value'], unit)}, allowed {measured(check['limit'], unit)}"
    return f"{check_name(check['name']).plain} ({allowed})"


def _unsure(check: dict) -> str:
    plain = check_name(check["name"]).plain
    if check.get("bound") is None:
        return f"{plain} (a group has no rows of some class)"
    bound, limit = (measured(check[name], check["unit"]) for name in ("bound", "limit"))
    return f"{plain} (up to {bound} is possible, allowed {limit})"


def _numbers(metrics: dict, reference: dict) -> str:
    ours, theirs = (m["scores"]["accuracy"]["value"] for m in (metrics, reference))
    gap, before = (m["disparities"]["mean_abs_disparity"] for m in (metrics, reference))
    text = (
        f"It is right for {hundredths(ours)} % of the images (reference {hundredths(theirs)} %); the groups differ by "
        f"{hundredths(gap['value'])} points in how well they are recognised, on average over the classes (reference "
        f"{hundredths(before['value'])} points; chance alone would show {hundredths(gap['floor'])})."
    )
    return text.replace(f"{NONE} %", NONE).replace(f"{NONE} points", NONE)
