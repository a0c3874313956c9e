"""A recipe: every setting of a run, validated; TOML in, TOML out."""

from edgefair.recipe.choice import Choice, setting_names
from edgefair.recipe.data import DATA, AnyData
from edgefair.recipe.data_base import DataSettings
from edgefair.recipe.deployment import DeploySettings, ExportSettings, QuantizeSettings
from edgefair.recipe.evaluation import BenchSettings, GateSettings
from edgefair.recipe.losses import LOSS, AnyLoss, LossSettings
from edgefair.recipe.recipe import CHOICES, Recipe, assign, assignment, parse, read
from edgefair.recipe.strategies import STRATEGY, AnyStrategy, StrategySettings
from edgefair.recipe.training import StudentSettings, TeacherSettings, TrainSettings

__all__ = [
    "CHOICES",
    "DATA",
    "LOSS",
    "STRATEGY",
    "AnyData",
    "AnyLoss",
    "AnyStrategy",
    "BenchSettings",
    "Choice",
    "DataSettings",
    "DeploySettings",
    "ExportSettings",
    "GateSettings",
    "LossSettings",
    "QuantizeSettings",
    "Recipe",
    "StrategySettings",
    "StudentSettings",
    "TeacherSettings",
    "TrainSettings",
    "assign",
    "assignment",
    "parse",
    "read",
    "setting_names",
]
