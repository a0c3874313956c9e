"""One judgement of an artefact: the worst of verdict, latency and size, and one sentence under that outcome."""

import pytest

from edgefair.errors import RecipeError
from edgefair.gate import Timing, Tolerance, compare
from edgefair.gate.tolerance import LIMITS, how_to_change, tolerance
from edgefair.metrics.comparison import align
from edgefair.recipe import GateSettings
from tests.helpers.calls import counted
from tests.helpers.gate_cases import FAST, REFERENCE, TOLERANCE, changed, judge

WORSE = changed(REFERENCE, slice(0, 400), 1)


@pytest.mark.parametrize(
    ("given", "outcome", "extra"),
    [
        ({}, "pass", []),
        ({"max_size_mb": 3.0, "max_latency_p90_ms": 2.0}, "pass", ["pass", "pass"]),
        ({"max_size_mb": 1.0}, "fail", ["fail"]),
        ({"max_latency_p90_ms": 0.5}, "fail", ["fail"]),
        ({"max_latency_p90_ms": 1.2}, "inconclusive", ["inconclusive"]),
        ({"max_latency_p90_ms": 2.0, "timing": Timing()}, "inconclusive", ["inconclusive"]),
        ({"max_latency_p90_ms": 2.0, "timing": Timing(FAST, batch="8")}, "inconclusive", ["inconclusive"]),
        (
            {"max_latency_p90_ms": 2.0, "timing": Timing(FAST, {"1": {"quiet": False}})},
            "inconclusive",
            ["inconclusive"],
        ),
        ({"candidate": WORSE, "max_latency_p90_ms": 1.2}, "fail", ["inconclusive"]),
    ],
)
def test_the_outcome_is_the_worst_of_all_checks_and_heads_the_sentence(given, outcome, extra):
    made = judge(**given)
    assert (made.outcome, [check.outcome for check in made.extra]) == (outcome, extra)
    assert made.sentence.startswith(f"{outcome.upper()}. On 3,200 rows")
    assert made.checks == (*made.verdict.checks, *made.extra)
    for check in made.extra:
        assert check.sentence[1:] in made.sentence


def test_the_verdict_is_that_of_compare_and_the_pair_is_aligned_once():
    with counted(align) as calls:
        made = judge(WORSE)
    assert calls["align"] == 1
    assert made.verdict == compare(REFERENCE, WORSE, TOLERANCE)
    assert made.sentence == made.verdict.sentence


@pytest.mark.parametrize(("alias", "claim"), [("equivalence", "same"), ("non-inferiority", "no_worse")])
def test_a_claim_may_be_named_as_the_field_names_it(alias, claim):
    named, plain = (compare(REFERENCE, WORSE, TOLERANCE, claim=name) for name in (alias, claim))
    assert named == plain
    assert named.claim == claim


def test_each_default_is_the_recipes():
    assert tolerance(GateSettings(), "same") == Tolerance()
    teacher = tolerance(GateSettings(teacher_accuracy_drop_points=7, max_drift_points=4), "no_worse")
    assert (teacher.accuracy_drop_points, teacher.max_drift_points) == (7, None)


@pytest.mark.parametrize("name", list(Tolerance.__dataclass_fields__))
def test_an_error_of_a_limit_names_the_places_where_it_can_be_set(name):
    with pytest.raises(RecipeError, match="allowed is") as caught:
        Tolerance(**{name: -1})
    names = LIMITS[name]
    assert (f"gate.{names.recipe} of the recipe" in str(caught.value)) == bool(names.recipe)
    assert str(caught.value).endswith(how_to_change(name))
    if not names.recipe:
        assert f"Python only: Tolerance({name}=...)" in str(caught.value)


def test_every_limit_has_its_names_and_every_field_of_the_recipe_is_a_limit():
    assert set(LIMITS) == {*Tolerance.__dataclass_fields__, "max_latency_p90_ms", "max_size_mb"}
    fields = {name for names in LIMITS.values() for name in names[:2] if name}
    assert fields == set(GateSettings.model_fields)
