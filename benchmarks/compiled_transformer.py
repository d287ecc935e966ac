"""One AdamW step of a character transformer in float32: 2 blocks, norms first, context 64, width 128."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.side_by_side import Contestant, compare, jax_cross_entropy, jax_training, training_step
from benchmarks.timing import Row
from chainrule import nn

BATCH, CONTEXT, WIDTH, HEADS, SYMBOLS, BLOCKS = 16, 64, 128, 4, 96, 2
LR, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.999, 1e-8, 0.01
CASES: dict[str, dict[str, Any]] = {"character transformer, 2 blocks, width 128, float32, AdamW step": {}}
BLOCK = {
    "gain1": (WIDTH,), "shift1": (WIDTH,), "qkv": (WIDTH, 3 * WIDTH), "qkv_bias": (3 * WIDTH,),
    "project": (WIDTH, WIDTH), "project_bias": (WIDTH,), "gain2": (WIDTH,), "shift2": (WIDTH,),
    "up": (WIDTH, 4 * WIDTH), "up_bias": (4 * WIDTH,), "down": (4 * WIDTH, WIDTH), "down_bias": (WIDTH,),
}  # fmt: skip
SHAPES = {"symbols": (SYMBOLS, WIDTH), "places": (CONTEXT, WIDTH)}
SHAPES |= {f"{name}.{i}": shape for i in range(BLOCKS) for name, shape in BLOCK.items()}
SHAPES |= {"gain": (WIDTH,), "shift": (WIDTH,), "head": (WIDTH, SYMBOLS), "head_bias": (SYMBOLS,)}


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    start = {1: np.zeros, 2: lambda shape: 0.05 * rng.normal(size=shape)}
    arrays = {name: start[len(shape)](shape) for name, shape in SHAPES.items()}
    return {k: (a + 1.0 if k.startswith("gain") else a).astype(np.float32) for k, a in arrays.items()}


def data() -> tuple[Any, Any]:
    text = np.random.default_rng(1).integers(0, SYMBOLS, (BATCH, CONTEXT + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


def norm(xp: Any, x: Any, gain: Any, shift: Any) -> Any:
    x = x - xp.mean(x, axis=-1, keepdims=True)
    return x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + 1e-5) * gain + shift


def gelu(xp: Any, x: Any) -> Any:
    return 0.5 * x * (1.0 + xp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def forward(xp: Any, attend: Callable[[Any, Any, Any], Any], p: Any, tokens: Any) -> Any:
    """Logits (B, T, symbols) of the next symbol; tokens (B, T) int; W, H, D: width, heads, W / H."""
    x = p["symbols"][tokens] + p["places"]  # (B, T, W)
    for i in range(BLOCKS):
        w = {name: p[f"{name}.{i}"] for name in BLOCK}
        qkv = norm(xp, x, w["gain1"], w["shift1"]) @ w["qkv"] + w["qkv_bias"]
        qkv = xp.reshape(qkv, (BATCH, CONTEXT, 3, HEADS, WIDTH // HEADS))
        q, k, v = (xp.transpose(qkv[:, :, j], (0, 2, 1, 3)) for j in range(3))  # (B, H, T, D)
        mixed = xp.reshape(xp.transpose(attend(q, k, v), (0, 2, 1, 3)), (BATCH, CONTEXT, WIDTH))
        x = x + mixed @ w["project"] + w["project_bias"]
        hidden = gelu(xp, norm(xp, x, w["gain2"], w["shift2"]) @ w["up"] + w["up_bias"])
        x = x + hidden @ w["down"] + w["down_bias"]
    return norm(xp, x, p["gain"], p["shift"]) @ p["head"] + p["head_bias"]


def attention(xp: Any, softmax: Callable[..., Any], q: Any, k: Any, v: Any) -> Any:
    """Softmax(q kᵀ / √D) v over what came before; q, k, v are (B, H, T, D)."""
    scores = q @ xp.swapaxes(k, 2, 3) * (WIDTH // HEADS) ** -0.5
    scores = xp.where(np.tri(CONTEXT, dtype=bool), scores, -np.inf)
    return softmax(scores, axis=-1) @ v


class AdamW:
    """Adam with decoupled weight decay, its state in Values."""

    def __init__(self, parameters: list[cr.Value]) -> None:
        zeros = lambda: [cr.Value(np.zeros(p.shape, np.float32)) for p in parameters]
        self.state = list(zip(parameters, zeros(), zeros()))
        self.power1, self.power2 = cr.Value(1.0), cr.Value(1.0)  # βᵗ

    def step(self) -> None:
        self.power1.data *= BETA1
        self.power2.data *= BETA2
        rate, root = LR / (1.0 - self.power1.data), (1.0 - self.power2.data) ** 0.5
        for p, m, v in self.state:
            m.data = BETA1 * m.data + (1.0 - BETA1) * p.grad
            v.data = BETA2 * v.data + (1.0 - BETA2) * (p.grad * p.grad)
            p.data = (1.0 - LR * DECAY) * p.data - rate * m.data / (v.data**0.5 / root + EPS)

    def zero_grad(self) -> None:
        for p, _, _ in self.state:
            p.grad = None


def network() -> tuple[Any, list[cr.Value], tuple[Any, ...]]:
    p = {name: cr.Value(w) for name, w in weights().items()}
    attend = partial(attention, np, cr.softmax)
    loss = lambda tokens, labels: nn.cross_entropy(forward(np, attend, p, tokens), labels)
    return loss, list(p.values()), data()


def ours() -> Contestant:
    loss, parameters, batch = network()
    return partial(cr.compile(training_step(loss, AdamW(parameters))), *batch)


def with_jax() -> Contestant:
    import jax
    import jax.numpy as jnp

    attend = partial(attention, jnp, jax.nn.softmax)

    def loss(p: Any, tokens: Any, labels: Any) -> Any:
        return jax_cross_entropy(forward(jnp, attend, p, tokens), labels)

    def step(state: Any, tokens: Any, labels: Any) -> Any:
        params, mean, square, t = state
        value, grads = jax.value_and_grad(loss)(params, tokens, labels)
        t = t + 1
        mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, grads)
        square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, grads)
        rate, root = LR / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
        move = lambda p, m, v: (1 - LR * DECAY) * p - rate * m / (jnp.sqrt(v) / root + EPS)
        return (jax.tree.map(move, params, mean, square), mean, square, t), value

    zeros = jax.tree.map(np.zeros_like, weights())
    return jax_training(step, (weights(), zeros, zeros, np.float32(0)), *data())


def with_torch() -> Contestant:
    import torch

    from benchmarks.torch_transformer import Transformer

    model = Transformer(CONTEXT, WIDTH, HEADS, SYMBOLS, BLOCKS)
    model.load(weights())
    betas = (BETA1, BETA2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LR, betas=betas, eps=EPS, weight_decay=DECAY)

    def loss(tokens: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(tokens).view(-1, SYMBOLS), labels.view(-1))

    return partial(training_step(loss, optimiser), *map(torch.tensor, data()))


def run() -> Iterator[Row]:
    contestants = {"chainrule": ours(), "jax": with_jax(), "torch": with_torch()}
    (work,) = CASES
    yield from compare(work, contestants, {"jax": 0.45, "torch": 0.5}, rtol=1e-4, seconds=8)
