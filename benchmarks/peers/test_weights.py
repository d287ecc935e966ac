"""PyTorch's state dicts, there and back: every layer, and a model of several, gives PyTorch's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.peers.test_layers import PAIRS, Pair, array, flat, rng
from chainrule import nn
from chainrule.interchange import from_torch_state_dict, to_torch_state_dict


def shaken(theirs: torch.nn.Module) -> torch.nn.Module:
    """New numbers for all parameters and statistics, in evaluation mode."""
    with torch.no_grad():
        for name, a in theirs.state_dict().items():
            if a.is_floating_point():
                a.copy_(torch.tensor(rng.uniform(0.2, 0.8, tuple(a.shape)) if "var" in name else
                                     rng.normal(size=tuple(a.shape))))  # fmt: skip
    return theirs.eval()


def agree(pair: Pair) -> None:
    xs = [x if isinstance(x, np.ndarray) else rng.normal(size=x) for x in pair.inputs]
    want = flat((pair.call or pair.theirs)(*map(torch.tensor, xs)))
    for y, t in zip(flat(pair.ours.eval()(*xs)), want, strict=True):
        np.testing.assert_allclose(array(y), array(t), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_layer(pair: Pair) -> None:
    state = shaken(pair.theirs).state_dict()
    from_torch_state_dict(pair.ours, state)
    agree(pair)
    back = to_torch_state_dict(pair.ours)
    assert back.keys() == state.keys()
    for name, a in back.items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(a, state[name].numpy())
    shaken(pair.theirs).load_state_dict({name: torch.from_numpy(a) for name, a in back.items()})
    agree(pair)


class Theirs(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        T = torch.nn
        self.look = T.Sequential(T.Conv2d(1, 4, 3, 2, 1), T.BatchNorm2d(4), T.ReLU(), T.Flatten(2))
        self.blocks = T.ModuleList(
            T.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True) for _ in "ab"
        )
        self.read = T.GRU(16, 6, 2, batch_first=True, bidirectional=True)
        self.out = T.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        x = self.look(x)
        for block in self.blocks:
            x = block(x)
        return self.out(self.read(x)[0])


class Ours(nn.Module):
    def __init__(self) -> None:
        self.look = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(2))
        self.blocks = [nn.TransformerBlock(16, 4, 32, activation="gelu") for _ in "ab"]
        self.read = nn.GRU(16, 6, 2, bidirectional=True)
        self.out = nn.Linear(12, 3)

    forward = Theirs.forward


def test_a_model_of_several_layers_by_memory_and_by_file(tmp_path: Path) -> None:
    theirs = shaken(Theirs())
    save_file(theirs.state_dict(), tmp_path / "w")
    for state in (theirs.state_dict(), tmp_path / "w"):
        ours = Ours()
        from_torch_state_dict(ours, state)
        agree(Pair(ours, theirs, ((3, 1, 8, 8),)))


def test_half_precision_and_other_models() -> None:
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2)
    from_torch_state_dict(ours, {k: a.to(torch.bfloat16) for k, a in theirs.state_dict().items()})
    np.testing.assert_allclose(ours.weight.data, array(theirs.weight).T, rtol=1e-2)
    with pytest.raises(ValueError, match=r"missing: bias; unexpected: shift; .*weight is \(2, 4\)"):
        from_torch_state_dict(ours, {"weight": torch.ones(4, 2), "shift": torch.ones(2)})
