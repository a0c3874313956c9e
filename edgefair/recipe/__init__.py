"""A recipe: every setting of a run, validated; TOML in, TOML out."""

from edgefair.recipe.choice import Choice, setting_names
from edgefair.recipe.data import DATA, AnyData
from edgefair.recipe.data_base import DataSettings
from edgefair.recipe.deployment import DeployRecipe, ExportRecipe, QuantizeRecipe
from edgefair.recipe.evaluation import BenchRecipe, GateRecipe
from edgefair.recipe.losses import LOSS, AnyLoss, LossSettings
from edgefair.recipe.recipe import CHOICES, Recipe, assign, assignment, parse, read
from edgefair.recipe.strategies import STRATEGY, AnyStrategy, StrategySettings
from edgefair.recipe.training import StudentRecipe, TeacherRecipe, TrainRecipe

__all__ = [
    "CHOICES",
    "DATA",
    "LOSS",
    "STRATEGY",
    "AnyData",
    "AnyLoss",
    "AnyStrategy",
    "BenchRecipe",
    "Choice",
    "DataSettings",
    "DeployRecipe",
    "ExportRecipe",
    "GateRecipe",
    "LossSettings",
    "QuantizeRecipe",
    "Recipe",
    "StrategySettings",
    "StudentRecipe",
    "TeacherRecipe",
    "TrainRecipe",
    "assign",
    "assignment",
    "parse",
    "read",
    "setting_names",
]
