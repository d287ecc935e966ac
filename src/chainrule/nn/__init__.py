"""Neural networks: modules that hold parameters, and losses."""

from chainrule.nn.activations import ACTIVATIONS
from chainrule.nn.initialisers import glorot_uniform, he_normal
from chainrule.nn.linear import Linear
from chainrule.nn.losses import cross_entropy, gaussian_nll, hinge, mse
from chainrule.nn.messages import Call, Watched, watch
from chainrule.nn.mlp import MLP
from chainrule.nn.module import Module

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Call",
    "Linear",
    "Module",
    "Watched",
    "cross_entropy",
    "gaussian_nll",
    "glorot_uniform",
    "he_normal",
    "hinge",
    "mse",
    "watch",
]
