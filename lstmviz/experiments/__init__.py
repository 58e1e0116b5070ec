"""Published experiments: a module for each publication, and what they have in common in ``base.py``."""

from lstmviz.experiments import attention, gradients, lecture, report
from lstmviz.experiments.base import EXPERIMENTS

for experiment in (*report.EXPERIMENTS, *gradients.EXPERIMENTS, *attention.EXPERIMENTS, *lecture.EXPERIMENTS):
    EXPERIMENTS[experiment.name] = experiment
