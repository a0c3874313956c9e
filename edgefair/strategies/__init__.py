"""Training strategies: how one step keeps the student fair; each composes with every loss."""

from edgefair.strategies.adversarial import Adversarial
from edgefair.strategies.afr import FeatureReweighting
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.bird import Bird
from edgefair.strategies.group_dro import GroupDro
from edgefair.strategies.intra import Intra
from edgefair.strategies.lagrangian import Lagrangian
from edgefair.strategies.last_layer import LastLayerRefit
from edgefair.strategies.logit_adjust import LogitAdjustment
from edgefair.strategies.plain import Plain
from edgefair.strategies.reweight import Reweight

STRATEGIES: dict[str, type[Strategy]] = {
    "plain": Plain,
    "adversarial": Adversarial,
    "intra": Intra,
    "bird": Bird,
    "reweight": Reweight,
    "group-dro": GroupDro,
    "last-layer": LastLayerRefit,
    "logit-adjust": LogitAdjustment,
    "afr": FeatureReweighting,
    "lagrangian": Lagrangian,
}

__all__ = ["STRATEGIES", "StepContext", "Strategy"]
