"""Neural networks: modules that hold parameters and pass messages, layers, initial weights, and losses."""

from typing import Any

from chainrule.nn.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    SELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.nn.attention import MultiHeadAttention, TransformerBlock, scaled_dot_product_attention
from chainrule.nn.bilinear import Bilinear
from chainrule.nn.checking import check_module
from chainrule.nn.classification import bce_with_logits, cross_entropy, hinge, kl_div, nll
from chainrule.nn.containers import Flatten, Residual, Sequential
from chainrule.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from chainrule.nn.ctc_loss import ctc
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.initialisers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    orthogonal,
    truncated_normal,
    zeros,
)
from chainrule.nn.linear import Linear
from chainrule.nn.losses import gaussian_nll, huber, mae, mse
from chainrule.nn.messages import Call, Watched, watch
from chainrule.nn.mlp import MLP
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from chainrule.nn.pooling import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool,
    MaxPool1d,
    MaxPool2d,
)
from chainrule.nn.recurrent import GRU, LSTM, RNN
from chainrule.nn.summary_table import Summary, summary

__all__ = [
    "ACTIVATIONS", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Bilinear",
    "Call", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "ELU", "Embedding",
    "Flatten", "GELU", "GRU", "GlobalAvgPool", "GroupNorm", "Identity", "LSTM", "LayerNorm", "LeakyReLU",
    "Linear", "LogSoftmax", "MLP", "MaxPool1d", "MaxPool2d", "Module", "MultiHeadAttention", "RMSNorm",
    "RNN", "ReLU", "Residual", "SELU", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Summary",
    "Tanh", "TransformerBlock", "Watched", "bce_with_logits", "check_module", "cross_entropy", "ctc",
    "gaussian_nll", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "hinge", "huber",
    "kl_div", "mae", "mse", "nll", "orthogonal", "scaled_dot_product_attention", "summary",
    "truncated_normal", "watch", "zeros",
]  # fmt: skip

_ELSEWHERE = {
    "BCELoss": "nn.bce_with_logits(logits, labels), of logits, without the sigmoid before it",
    "BCEWithLogitsLoss": "nn.bce_with_logits(logits, labels)",
    "CTCLoss": "nn.ctc(log_probabilities, labels)",
    "CrossEntropyLoss": "nn.cross_entropy(logits, labels)",
    "GaussianNLLLoss": "nn.gaussian_nll",
    "HuberLoss": "nn.huber(predictions, targets)",
    "KLDivLoss": "nn.kl_div(log_q, p)",
    "L1Loss": "nn.mae(predictions, targets)",
    "MSELoss": "nn.mse(predictions, targets)",
    "ModuleDict": "a dict in an attribute of the module",
    "ModuleList": "a list in an attribute of the module",
    "MultiheadAttention": "nn.MultiHeadAttention",
    "NLLLoss": "nn.nll(log_probabilities, labels)",
    "Parameter": "chainrule.Value(array) in an attribute of the module",
    "SmoothL1Loss": "nn.huber(predictions, targets)",
    "TransformerEncoderLayer": "nn.TransformerBlock",
    **{f: f"chainrule.{f}" for f in "elu gelu log_softmax relu sigmoid silu softmax softplus".split()},
    "functional": "chainrule.relu and the like for activations, nn.cross_entropy and the like for losses",
    "init": "nn.he_normal and the like as a layer's initialiser",
}


def __getattr__(name: str) -> Any:
    """Say what stands here for a name that is known from PyTorch."""
    hint = f"; here it is {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"module 'chainrule.nn' has no attribute {name!r}{hint}")
