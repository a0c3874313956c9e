"""Networks of every family, for teachers and students, and their weights."""

from edgefair.models.classifier import Classifier
from edgefair.models.factory import ALIASES, create, save_weights, seeded

__all__ = ["ALIASES", "Classifier", "create", "save_weights", "seeded"]
