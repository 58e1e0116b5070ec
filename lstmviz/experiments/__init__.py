"""Published experiments: a module for each publication, and what they have in common in ``base.py``."""

from lstmviz.experiments import attention, gradients, lecture, report, trees
from lstmviz.experiments.base import EXPERIMENTS

for module in (report, gradients, attention, trees, lecture):
    EXPERIMENTS.update({experiment.name: experiment for experiment in module.EXPERIMENTS})
