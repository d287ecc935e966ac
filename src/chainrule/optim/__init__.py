"""Optimisers: how parameters follow their gradients."""

from chainrule.optim.adagrad import Adagrad
from chainrule.optim.adam import Adam
from chainrule.optim.adamw import AdamW
from chainrule.optim.lion import Lion
from chainrule.optim.optimiser import Group, Optimiser
from chainrule.optim.rmsprop import RMSprop
from chainrule.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Group", "Lion", "Optimiser", "RMSprop"]
