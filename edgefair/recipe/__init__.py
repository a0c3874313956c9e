"""A recipe: every setting of a run, validated; TOML in, TOML out."""

from edgefair.recipe.data import DataRecipe
from edgefair.recipe.deployment import DeployRecipe, ExportRecipe, QuantizeRecipe
from edgefair.recipe.distillation import LossRecipe, StrategyRecipe
from edgefair.recipe.evaluation import BenchRecipe, GateRecipe
from edgefair.recipe.recipe import Recipe, assign, assignment, parse, read
from edgefair.recipe.training import StudentRecipe, TeacherRecipe, TrainRecipe

__all__ = [
    "BenchRecipe",
    "DataRecipe",
    "DeployRecipe",
    "ExportRecipe",
    "GateRecipe",
    "LossRecipe",
    "QuantizeRecipe",
    "Recipe",
    "StrategyRecipe",
    "StudentRecipe",
    "TeacherRecipe",
    "TrainRecipe",
    "assign",
    "assignment",
    "parse",
    "read",
]
