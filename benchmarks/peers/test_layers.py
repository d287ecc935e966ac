"""Every layer and loss beside PyTorch's: outputs and gradients, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import chainrule as cr
from chainrule import Value, nn

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
TOLERANCE = 1e-9  # in double precision, of the largest entry


class Pair(NamedTuple):
    """A layer, PyTorch's, and the shapes of the inputs; ``call`` where PyTorch is called otherwise."""

    ours: nn.Module
    theirs: torch.nn.Module
    inputs: tuple[Any, ...]
    call: Callable[..., Any] | None = None

    def __str__(self) -> str:
        return repr(self.ours).replace("\n", "")


def transposed(ours: nn.Module) -> set[str]:
    """The parameters that are PyTorch's transposed: what a Linear multiplies with."""
    return {f"{path}.weight".lstrip(".") for path, m in ours.named_modules() if type(m) is nn.Linear}


def same_weights(ours: nn.Module, theirs: torch.nn.Module) -> None:
    """Both get the same random numbers under the same names."""
    state, turned = {}, transposed(ours)
    for name, a in theirs.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            w = rng.uniform(0.2, 0.8, tuple(a.shape)) * rng.choice([-1.0, 1.0], tuple(a.shape))
            w = np.abs(w) if name.endswith("running_var") else w
            a.copy_(torch.tensor(w))
            state[name] = w.T if name in turned else w
    ours.load_state_dict(state)


def array(x: Any) -> Any:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.asarray(cr.data(x))


def flat(x: Any) -> list[Any]:
    return [y for part in x for y in flat(part)] if isinstance(x, tuple | list) else [x]


def near(got: Any, want: Any, what: str) -> None:
    got, want = array(got), array(want)
    assert got.shape == want.shape, what
    scale = max(np.max(np.abs(want), initial=0.0), 1.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * scale, err_msg=what)


def compare(pair: Pair, compiled: bool) -> None:
    ours, theirs = pair.ours, pair.theirs
    xs = [x if isinstance(x, np.ndarray) else rng.normal(size=x) for x in pair.inputs]
    weights: list[Any] = []

    def run(*xs: Any) -> Any:
        values = [Value(x) if x.dtype.kind == "f" else x for x in xs]
        ys = flat(ours(*values))
        if not weights:
            weights.extend(rng.normal(size=y.shape) for y in ys)
        ours.zero_grad()
        sum(np.sum(y * w) for y, w in zip(ys, weights)).backward()
        return [cr.data(y) for y in ys], [v.grad for v in values if type(v) is Value]

    state = ours.state_dict()
    got, gradients = run(*xs)
    if compiled:
        ours.load_state_dict(state)
        got, gradients = cr.compile(run)(*xs)
    tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs]
    theirs.zero_grad()
    want = flat((pair.call or theirs)(*tensors))
    sum((y * torch.tensor(w)).sum() for y, w in zip(want, weights)).backward()
    for i, (y, t) in enumerate(zip(got, want, strict=True)):
        near(y, t, f"output {i}")
    for i, (g, t) in enumerate(zip(gradients, [t for t in tensors if t.requires_grad], strict=True)):
        near(g, t.grad, f"gradient of input {i}")
    mine = dict(ours.named_parameters())
    for name, p in theirs.named_parameters():
        near(mine[name].grad, p.grad.T if name in transposed(ours) else p.grad, f"gradient of {name}")
    buffers = ours.state_dict()
    for name, b in theirs.named_buffers():
        if name in buffers:
            near(buffers[name], b, name)


T = torch.nn
IMAGES = (2, 4, 7, 6)


def attention(causal: bool = False, **options: Any) -> Pair:
    theirs = T.MultiheadAttention(6, 2, batch_first=True, **options)
    mask = T.Transformer.generate_square_subsequent_mask(4) if causal else None
    call = lambda x: theirs(x, x, x, attn_mask=mask, need_weights=False)[0]
    return Pair(nn.MultiHeadAttention(6, 2, causal=causal, **options, rng=0), theirs, ((2, 4, 6),), call)


def cross_attention() -> Pair:
    theirs = T.MultiheadAttention(6, 3, batch_first=True)
    call = lambda q, k, v: theirs(q, k, v, need_weights=False)[0]
    shapes = ((2, 4, 6), (2, 3, 6), (2, 3, 6))
    return Pair(nn.MultiHeadAttention(6, 3, rng=0), theirs, shapes, call)


def block(causal: bool, activation: str) -> Pair:
    theirs = T.TransformerEncoderLayer(6, 2, 8, 0.0, activation, batch_first=True, norm_first=True)
    mask = T.Transformer.generate_square_subsequent_mask(4) if causal else None
    ours = nn.TransformerBlock(6, 2, 8, causal=causal, activation=activation, rng=0)
    return Pair(ours, theirs, ((2, 4, 6),), lambda x: theirs(x, src_mask=mask))


def recurrent(name: str, layers: int, both: bool, state: bool = False, **options: Any) -> Pair:
    theirs = getattr(T, name)(3, 4, layers, batch_first=True, bidirectional=both, **options)
    ours = getattr(nn, name)(3, 4, layers, bidirectional=both, **options, rng=0)
    shapes = ((2, 5, 3), (layers * (2 if both else 1), 2, 4))
    return Pair(ours, theirs, shapes if state else shapes[:1])


PAIRS = [
    Pair(nn.Linear(3, 2, rng=0), T.Linear(3, 2), ((5, 3),)),
    Pair(nn.Bilinear(3, 4, 2, rng=0), T.Bilinear(3, 4, 2), ((5, 3), (5, 4))),
    Pair(nn.Embedding(7, 3, rng=0), T.Embedding(7, 3), (np.array([[1, 6, 1], [0, 1, 2]]),)),
    *(
        Pair(getattr(nn, name)(), getattr(T, name)(), ((5, 4),))
        for name in "ReLU LeakyReLU ELU SELU GELU SiLU Tanh Sigmoid Softplus Identity".split()
    ),
    Pair(nn.GELU("tanh"), T.GELU("tanh"), ((5, 4),)),
    Pair(nn.Softmax(1), T.Softmax(1), ((5, 4, 2),)),
    Pair(nn.LogSoftmax(-1), T.LogSoftmax(-1), ((5, 4),)),
    Pair(nn.Flatten(), T.Flatten(), ((2, 3, 4, 5),)),
    Pair(nn.Conv1d(4, 6, 3, 2, 1, groups=2, rng=0), T.Conv1d(4, 6, 3, 2, 1, groups=2), ((2, 4, 9),)),
    Pair(nn.Conv2d(4, 3, 3, rng=0), T.Conv2d(4, 3, 3), (IMAGES,)),
    Pair(nn.Conv2d(4, 3, (3, 2), padding="same", dilation=2, rng=0),
         T.Conv2d(4, 3, (3, 2), padding="same", dilation=2), (IMAGES,)),
    Pair(nn.Conv2d(4, 3, 3, (2, 1), (1, 2), bias=False, rng=0), T.Conv2d(4, 3, 3, (2, 1), (1, 2), bias=False),
         (IMAGES,)),
    Pair(nn.Conv2d(4, 4, 3, 2, groups=4, rng=0), T.Conv2d(4, 4, 3, 2, groups=4), (IMAGES,)),
    Pair(nn.Conv2d(4, 8, 1, groups=4, rng=0), T.Conv2d(4, 8, 1, groups=4), (IMAGES,)),
    Pair(nn.ConvTranspose1d(3, 4, 1, 2, 1, rng=0), T.ConvTranspose1d(3, 4, 1, 2, 1), ((2, 3, 5),)),
    Pair(nn.ConvTranspose2d(4, 3, 4, 2, 1, rng=0), T.ConvTranspose2d(4, 3, 4, 2, 1), (IMAGES,)),
    Pair(nn.ConvTranspose2d(4, 6, 3, 3, 1, 2, 2, True, 2, rng=0),
         T.ConvTranspose2d(4, 6, 3, 3, 1, 2, 2, True, 2), (IMAGES,)),
    Pair(nn.MaxPool1d(2), T.MaxPool1d(2), ((2, 3, 7),)),
    Pair(nn.MaxPool2d(2), T.MaxPool2d(2), (IMAGES,)),
    Pair(nn.MaxPool2d(3, 2), T.MaxPool2d(3, 2), (np.round(rng.normal(size=IMAGES)),)),  # ties
    Pair(nn.MaxPool2d(3, 2, 1), T.MaxPool2d(3, 2, 1), (IMAGES,)),
    Pair(nn.AvgPool1d(3, 1), T.AvgPool1d(3, 1), ((2, 3, 7),)),
    Pair(nn.AvgPool2d((2, 3), padding=1), T.AvgPool2d((2, 3), padding=1), (IMAGES,)),
    *[
        Pair(ours(*sizes, ceil_mode=True), theirs(*sizes, ceil_mode=True), (IMAGES,))
        for ours, theirs in ((nn.MaxPool2d, T.MaxPool2d), (nn.AvgPool2d, T.AvgPool2d))
        for sizes in ((2, 3), (3, 2), (3, 2, 1), (2, 4, 1))
    ],
    Pair(nn.AdaptiveAvgPool2d((3, 4)), T.AdaptiveAvgPool2d((3, 4)), (IMAGES,)),
    Pair(nn.BatchNorm1d(3), T.BatchNorm1d(3), ((5, 3),)),
    Pair(nn.BatchNorm1d(3, affine=False), T.BatchNorm1d(3, affine=False), ((5, 3, 4),)),
    Pair(nn.BatchNorm2d(4, momentum=0.3), T.BatchNorm2d(4, momentum=0.3), (IMAGES,)),
    Pair(nn.BatchNorm2d(4).eval(), T.BatchNorm2d(4).eval(), (IMAGES,)),
    Pair(nn.LayerNorm(4), T.LayerNorm(4), ((3, 4),)),
    Pair(nn.LayerNorm((7, 6), bias=False), T.LayerNorm((7, 6), bias=False), (IMAGES,)),
    Pair(nn.RMSNorm(4), T.RMSNorm(4), ((3, 4),)),
    Pair(nn.GroupNorm(2, 4), T.GroupNorm(2, 4), (IMAGES,)),
    attention(), attention(causal=True), attention(bias=False), cross_attention(),
    block(True, "gelu"), block(False, "relu"),
    recurrent("RNN", 1, False), recurrent("RNN", 2, True, True, nonlinearity="relu"),
    recurrent("LSTM", 1, False), recurrent("LSTM", 2, True), recurrent("LSTM", 1, False, bias=False),
    recurrent("GRU", 1, False), recurrent("GRU", 2, True, True), recurrent("GRU", 1, True, bias=False),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_layer(pair: Pair, compiled: bool) -> None:
    with torch.no_grad():
        same_weights(pair.ours, pair.theirs)
    compare(pair, compiled)


# -------------------------------------------------------------------- losses

Z, Y = rng.normal(size=(2, 6, 4))
LABELS = rng.integers(0, 4, 6)
SHARES = rng.dirichlet(np.ones(4), 6)
WEIGHT = rng.uniform(0.5, 2.0, 4)
EMITTED, WORDS = rng.normal(size=(3, 7, 5)), np.array([[1, 2, 2], [3, 1, 4], [1, 1, 1]])
STEPS, COUNTS = [7, 6, 5], [3, 2, 1]
t = torch.tensor

LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "cross_entropy": (lambda z, **o: nn.cross_entropy(z, LABELS, **o),
                      lambda z, **o: F.cross_entropy(z, t(LABELS), **o), Z),
    "smoothed and weighted": (
        lambda z, **o: nn.cross_entropy(z, LABELS, weight=WEIGHT, label_smoothing=0.2, **o),
        lambda z, **o: F.cross_entropy(z, t(LABELS), weight=t(WEIGHT), label_smoothing=0.2, **o), Z),
    "soft, smoothed and weighted": (
        lambda z, **o: nn.cross_entropy(z, SHARES, weight=WEIGHT, label_smoothing=0.2, **o),
        lambda z, **o: F.cross_entropy(z, t(SHARES), weight=t(WEIGHT), label_smoothing=0.2, **o), Z),
    "nll": (lambda z, **o: nn.nll(cr.log_softmax(z), LABELS, **o),
            lambda z, **o: F.nll_loss(F.log_softmax(z, -1), t(LABELS), **o), Z),
    "bce_with_logits": (
        lambda z, **o: nn.bce_with_logits(z, SHARES, pos_weight=WEIGHT, **o),
        lambda z, **o: F.binary_cross_entropy_with_logits(z, t(SHARES), pos_weight=t(WEIGHT), **o), Z),
    "mse": (lambda z, **o: nn.mse(z, Y, **o), lambda z, **o: F.mse_loss(z, t(Y), **o), Z),
    "mae": (lambda z, **o: nn.mae(z, Y, **o), lambda z, **o: F.l1_loss(z, t(Y), **o), Z),
    "huber": (lambda z, **o: nn.huber(z, Y, 0.7, **o),
              lambda z, **o: F.huber_loss(z, t(Y), delta=0.7, **o), Z),
    "gaussian_nll": (
        lambda z, **o: nn.gaussian_nll(z, Y, variance=SHARES, **o),
        lambda z, **o: F.gaussian_nll_loss(z, t(Y), t(SHARES), full=True, **o), Z),
    "ctc": (
        lambda z, **o: nn.ctc(cr.log_softmax(z), WORDS, STEPS, COUNTS, **o),
        lambda z, **o: F.ctc_loss(F.log_softmax(z, -1).swapaxes(0, 1), t(WORDS), t(STEPS), t(COUNTS), **o),
        EMITTED),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss(name: str, reduction: str) -> None:
    ours, theirs, z = LOSSES[name]
    x, tensor = Value(z), torch.tensor(z, requires_grad=True)
    got, want = ours(x, reduction=reduction), theirs(tensor, reduction=reduction)
    near(got, want, "loss")
    np.sum(got).backward()
    want.sum().backward()
    near(x.grad, tensor.grad, "gradient")


def test_kl_div_is_batchmean() -> None:
    x, tensor = Value(Z), torch.tensor(Z, requires_grad=True)
    got = nn.kl_div(cr.log_softmax(x), SHARES)
    want = F.kl_div(F.log_softmax(tensor, -1), t(SHARES), reduction="batchmean")
    near(got, want, "loss")
    got.backward(), want.backward()
    near(x.grad, tensor.grad, "gradient")
