"""Neural networks: modules that hold parameters and pass messages, layers, initial weights, and losses."""

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
from chainrule.nn.ctc import ctc
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
from chainrule.nn.summary import Summary, summary

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
