"""Optimisers: how parameters follow their gradients."""

from chainrule.optim import lr_scheduler
from chainrule.optim.adagrad import Adagrad
from chainrule.optim.adam import Adam
from chainrule.optim.adamw import AdamW
from chainrule.optim.clipping import clip_grad_norm, clip_grad_value
from chainrule.optim.lbfgs import LBFGS
from chainrule.optim.lion import Lion
from chainrule.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from chainrule.optim.optimiser import Group, Optimiser
from chainrule.optim.rmsprop import RMSprop
from chainrule.optim.schedule import Schedule
from chainrule.optim.several import Several
from chainrule.optim.sgd import SGD

__all__ = [
    "LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Group", "Lion", "Optimiser", "RMSprop", "Several",
    "CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR",
    "ReduceLROnPlateau", "Schedule", "SequentialLR", "StepLR", "lr_scheduler",
    "clip_grad_norm", "clip_grad_value",
]  # fmt: skip
