"""Training strategies: how one step keeps the student fair; each composes with every loss."""

from edgefair.strategies.adversarial import Adversarial
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.bird import Bird
from edgefair.strategies.intra import Intra
from edgefair.strategies.plain import Plain

STRATEGIES: dict[str, type[Strategy]] = {
    "plain": Plain,
    "adversarial": Adversarial,
    "intra": Intra,
    "bird": Bird,
}

__all__ = ["STRATEGIES", "StepContext", "Strategy"]
