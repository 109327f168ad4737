"""Fitting, evaluating, exporting."""

from nutgraf_training.evaluation.evaluate import Evaluation, evaluate
from nutgraf_training.recipe import Recipe, load_recipe
from nutgraf_training.train import TrainResult, train

__all__ = ["Evaluation", "Recipe", "TrainResult", "evaluate", "load_recipe", "train"]
