"""One table of outcomes and one of check names: all that the gate can say has its words."""

import dataclasses

from edgefair.gate.verdict import OUTCOMES as JUDGED
from edgefair.report.outcomes import CHECKS, OUTCOMES, check_name
from tests.helpers.gate_cases import judge


def test_every_outcome_has_a_mark_of_its_own_and_the_worst_comes_first():
    assert tuple(OUTCOMES) == ("error", *JUDGED)
    assert len({look.mark for look in OUTCOMES.values()}) == len(OUTCOMES)


def test_every_check_of_a_judgement_has_its_names():
    checks = judge(max_size_mb=1.0, max_latency_p90_ms=1.0).checks
    assert {check.name for check in checks} == set(CHECKS)
    assert all(dataclasses.is_dataclass(check) and all(check_name(check.name)) for check in checks)
    assert check_name("speed_up").heading == "Speed up"
