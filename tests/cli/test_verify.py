"""The options of `edgefair verify`: the limits of the gate, and what holds without them."""

from edgefair.cli.verify import POINTS, SUPPORTED_MAX
from edgefair.gate import Tolerance, compare
from edgefair.gate.limits import Limits
from edgefair.gate.tolerance import LIMITS
from tests.helpers.command_line import run
from tests.helpers.gate_cases import check, example


def test_the_flags_are_the_limits_with_their_defaults():
    assert {flag: name for flag, (name, *_) in POINTS.items()} == {
        names.flag: name for name, names in LIMITS.items() if names.flag
    }
    defaults = Limits("same", Tolerance()).to_dict()
    for name, _, default in POINTS.values():
        assert default == defaults[name], name
    assert defaults["supported_max_drift_points"] == SUPPORTED_MAX


def test_the_help_says_what_the_limits_on_gaps_are_without_their_flags(capsys):
    """As the gate judges: the largest gap of large cells is held to 5 points, and for one claim only."""
    reference = example(cell_rows=6000, error_share=0.05)
    assert limit_on_the_largest_gap(reference, "same") == SUPPORTED_MAX
    assert limit_on_the_largest_gap(reference, "no_worse") is None
    assert limit_on_the_largest_gap(example(cell_rows=100), "same") is None
    text = " ".join(run(capsys, "verify", "--help")[1].split()).replace("- ", "-")  # lines break after a hyphen
    assert (
        "[default: the recipe's, else 5 where the cells are large enough to show that, else (and with --claim "
        "non-inferiority) only reported]" in text
    )
    assert "moved by at most this; with --claim non-inferiority, worsening of at most this." in text


def limit_on_the_largest_gap(reference, claim):
    """The limit that is used without one given; None where the gap is only reported."""
    found = check(compare(reference, reference, Tolerance(replicates=100), claim=claim), "max_drift")
    return found.limit if found.gated else None
