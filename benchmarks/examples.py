"""One AdamW step of the networks of the examples in float32, compiled, beside the same in PyTorch and JAX.

Dropout is left out and noise is an argument: what is random cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from benchmarks.side_by_side import Contestant, compare, jax_training, training_step
from benchmarks.timing import Row
from chainrule import nn, optim
from chainrule.interchange import to_torch_state_dict

SYMBOLS, CONTEXT, WIDTH, HEADS, BLOCKS, LETTERS = 96, 64, 128, 4, 2, 28
RATE, DECAY = 1e-3, 0.01
CASES: dict[str, dict[str, Any]] = {
    "digits, MLP 64-128-128-10, batch 32": {"name": "digits"},
    "clothes, convolutions 16-32, batch 64": {"name": "clothes"},
    "text, 2 blocks, width 128, batch 16×64": {"name": "text"},
    "names, GRU 128, batch 64×12": {"name": "names"},
    "digits' plane, autoencoder, batch 64": {"name": "plane"},
}


class Network(NamedTuple):
    """A model of ours, its loss of a batch, and the batch."""

    model: nn.Module
    loss: Callable[..., Any]
    batch: tuple[Any, ...]


def network(name: str) -> Network:
    from examples import fashion, names, text, vae

    rng = np.random.default_rng(0)
    model: Any
    if name == "plane":
        noise = rng.normal(size=(64, 2)).astype(np.float32)
        model = vae.Autoencoder()
        return Network(model, partial(vae.loss_of, model), (rng.random((64, 64), np.float32), noise))
    if name == "digits":
        model = nn.MLP([64, 128, 128, 10], activation="relu", rng=1, dtype=np.float32)
        batch = rng.random((32, 64), np.float32), rng.integers(10, size=32)
    elif name == "clothes":
        model = fashion.network()
        batch = rng.random((64, 1, 28, 28), np.float32), rng.integers(10, size=64)
    elif name == "text":
        model = text.Transformer(SYMBOLS, BLOCKS)
        codes = rng.integers(SYMBOLS, size=(16, CONTEXT + 1))
        batch = codes[:, :-1].copy(), codes[:, 1:].copy()
    else:
        model = names.Writer(LETTERS)
        codes = rng.integers(LETTERS, size=(64, 13))
        batch = codes[:, :-1].copy(), codes[:, 1:].copy()
    for _, m in model.named_modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    return Network(model, lambda x, y: nn.cross_entropy(model(x), y), batch)


def ours(name: str) -> Contestant:
    model, loss, batch = network(name)
    optimiser = optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    return partial(cr.compile(training_step(loss, optimiser)), *batch)


def with_torch(name: str) -> Contestant:
    import torch

    from benchmarks import torch_examples as peers

    model, _, batch = network(name)
    peer: Any = {
        "digits": peers.Digits, "clothes": peers.Clothes, "plane": peers.Plane,
        "text": partial(peers.Text, SYMBOLS, CONTEXT, WIDTH, HEADS, BLOCKS),
        "names": partial(peers.Names, LETTERS),
    }[name]()  # fmt: skip
    peer.load_state_dict({k: torch.tensor(a) for k, a in to_torch_state_dict(model).items()})
    optimiser = torch.optim.AdamW(peer.parameters(), lr=RATE, weight_decay=DECAY)
    return partial(training_step(peer.loss, optimiser), *map(torch.tensor, batch))


def with_jax(name: str) -> Contestant:
    import jax
    import optax

    from benchmarks import jax_examples as peers

    model, _, batch = network(name)
    rule = optax.adamw(RATE, weight_decay=DECAY)
    loss: Any = getattr(peers, name)
    if name == "text":
        loss = partial(loss, heads=HEADS, blocks=BLOCKS)

    def step(state: Any, *batch: Any) -> Any:
        params, kept = state
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, kept = rule.update(grads, kept, params)
        return (optax.apply_updates(params, updates), kept), value

    params = dict(to_torch_state_dict(model))
    return jax_training(step, (params, rule.init(params)), *batch)


def run() -> Iterator[Row]:
    for work, case in CASES.items():
        contestants = {"chainrule": ours(**case), "jax": with_jax(**case), "torch": with_torch(**case)}
        targets = {"jax": 0.6, "torch": 0.6}
        yield from compare(f"{work}, float32, AdamW step", contestants, targets, rtol=1e-4, seconds=5)
