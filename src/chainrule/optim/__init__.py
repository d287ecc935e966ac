"""Optimisers: how parameters follow their gradients."""

from chainrule.optim.adam import Adam
from chainrule.optim.optimiser import Optimiser
from chainrule.optim.sgd import SGD

__all__ = ["SGD", "Adam", "Optimiser"]
