"""Weights in safetensors files and PyTorch's state dicts; real PyTorch is met in benchmarks/peers."""

import numpy as np
import pytest
import safetensors.numpy

from chainrule import nn
from chainrule.interchange import from_torch_state_dict, load_weights, save_weights, to_torch_state_dict
from chainrule.train.checkpoint import CheckpointError


def network(seed):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, rng=rng), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 8, rng=rng, dtype="f"),
        nn.Residual(nn.LayerNorm(8)),
    )  # fmt: skip
    model[1].running_mean.data = rng.normal(size=3)
    return model


def same(a, b):
    assert list(a) == list(b)
    return all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


def test_saved_weights_come_back_and_others_can_read_them(tmp_path):
    model, other = network(0), network(1)
    save_weights(model, tmp_path / "w")
    found = safetensors.numpy.load_file(tmp_path / "w")
    assert found.keys() == model.state_dict().keys()
    assert all(np.array_equal(found[name], a) for name, a in model.state_dict().items())
    load_weights(other, str(tmp_path / "w"))
    assert same(model.state_dict(), other.state_dict())


def test_files_of_other_programs_are_read(tmp_path):
    model, other = network(0), network(1)
    safetensors.numpy.save_file(model.state_dict(), tmp_path / "w")
    load_weights(other, tmp_path / "w")
    assert same(model.state_dict(), other.state_dict())


def test_wrong_files_change_nothing_and_are_named(tmp_path):
    model = network(0)
    before = model.state_dict()
    with pytest.raises(CheckpointError, match="nothing"):
        load_weights(model, tmp_path / "nothing")
    (tmp_path / "text").write_text("no weights, though a text of some length")
    with pytest.raises(CheckpointError, match="text cannot be read as safetensors"):
        load_weights(model, tmp_path / "text")
    save_weights(model, tmp_path / "w")
    raw = bytearray((tmp_path / "w").read_bytes())
    raw[-3] ^= 1
    (tmp_path / "w").write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        load_weights(model, tmp_path / "w")
    save_weights(nn.Sequential(nn.Linear(3, 2)), tmp_path / "w")
    with pytest.raises(ValueError, match=r"missing: .*3\.weight.*of another shape: 0\.weight is \(3, 2\)"):
        load_weights(model, tmp_path / "w")
    assert same(before, model.state_dict())


class Tensor:
    """As much of a tensor as is asked for."""

    def __init__(self, a, dtype="torch.float32"):
        self.a, self.dtype = a, dtype

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return Tensor(self.a)

    def numpy(self):
        if "bfloat16" in self.dtype:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.a


def test_to_pytorch_and_back(tmp_path):
    model = network(0)
    state = to_torch_state_dict(model)
    assert state["3.weight"].shape == (8, 27)
    assert state["1.num_batches_tracked"].dtype == np.int64
    safetensors.numpy.save_file(state, tmp_path / "w")
    tensors = {k: Tensor(a) for k, a in state.items()}
    halves = {k: Tensor(a, "torch.bfloat16") for k, a in state.items()}
    for given in (state, tensors, halves, tmp_path / "w"):
        other = network(1)
        from_torch_state_dict(other, given)
        assert same(model.state_dict(), other.state_dict())
        assert other[3].weight.data.flags.c_contiguous


def test_what_is_handed_out_is_a_copy():
    model = network(0)
    for a in to_torch_state_dict(model).values():
        a[...] = 7
    assert same(model.state_dict(), network(0).state_dict())


def test_another_models_state_is_refused_with_a_list():
    model = network(0)
    state = to_torch_state_dict(model)
    del state["0.bias"]
    state["5.weight"] = np.ones(3)
    state["3.weight"] = np.ones((27, 9))
    with pytest.raises(ValueError) as caught:
        from_torch_state_dict(model, state)
    message = str(caught.value)
    assert "missing: 0.bias; unexpected: 5.weight; of another shape: 3.weight is (9, 27), expected" in message
    with pytest.raises(TypeError, match=r"'0\.bias' is a list; expected a tensor or an array"):
        from_torch_state_dict(model, {"0.bias": [1.0]})


class Tied(nn.Module):
    """Two names for one layer, and for one weight."""

    def __init__(self, seed):
        self.first = nn.Linear(3, 2, rng=seed)
        self.again, self.norm, self.other = self.first, nn.BatchNorm1d(2), nn.Linear(3, 2, rng=seed)
        self.also, self.other.weight, self.me = self.norm, self.first.weight, self


def test_tied_weights_have_all_their_names_in_pytorch():
    state = to_torch_state_dict(Tied(0))
    names = {"first.weight", "first.bias", "again.weight", "again.bias", "other.weight", "other.bias"}
    parts = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert state.keys() == names | {f"{norm}.{part}" for norm in ("norm", "also") for part in parts}
    assert state["again.weight"].shape == state["other.weight"].shape == (2, 3)
    only = {name: a for name, a in state.items() if name not in ("first.weight", "again.bias", "also.bias")}
    for given in (state, only):
        model = Tied(1)
        from_torch_state_dict(model, given)
        assert same(model.state_dict(), Tied(0).state_dict())
    state["other.weight"] += 1.0
    with pytest.raises(ValueError, match=r"first\.weight and other\.weight are one parameter .* differ"):
        from_torch_state_dict(Tied(1), state)


def test_bfloat16_is_read(tmp_path):
    numbers = np.array([1.0, -2.5, 3.0, 0.15625], np.float32)  # which it holds exactly
    header = b'{"weight":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},'
    header += b'"bias":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'
    body = (numbers.view("<u4") >> 16).astype("<u2").tobytes() + np.ones(2, "<f4").tobytes()
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header + body)
    model = nn.Linear(2, 2, rng=0)
    load_weights(model, tmp_path / "w")
    assert np.array_equal(model.weight.data, numbers.reshape(2, 2)) and model.bias.tolist() == [1.0, 1.0]


def test_a_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder; name a file in it"):
        load_weights(nn.Linear(2, 2), tmp_path)
