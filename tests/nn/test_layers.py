"""What holds for every layer: derivatives, compiled as eager, dtypes, state, shapes that do not fit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import optree
import pytest

import chainrule as cr
from chainrule import Value, nn
from tests.nn.layers import LAYERS, Layer

each = pytest.mark.parametrize("layer", LAYERS, ids=str)


def arrays(tree: Any) -> list[Any]:
    return [np.asarray(cr.data(x)) for x in optree.tree_leaves(tree)]


def step(module: nn.Module, xs: list[Any]) -> Any:
    """A number that depends on every output, and gradients of everything."""
    values = [Value(x) if x.dtype.kind == "f" else x for x in xs]
    loss = sum(np.sum(np.tanh(y) * (i + 1.0)) for i, y in enumerate(optree.tree_leaves(module(*values))))
    module.zero_grad()
    loss.backward()
    return loss.data, [v.grad for v in values if type(v) is Value], [p.grad for p in module.parameters()]


@each
def test_messages_are_the_differences(layer: Layer) -> None:
    nn.check_module(layer.make({}), *layer.data())


@each
def test_forward_and_reverse_mode_twice(layer: Layer) -> None:
    module, xs = layer.make({}), layer.data()
    still = module.named_modules()
    for _, m in still:  # what is drawn or counted is no function of x
        if isinstance(m, nn.Dropout):
            m.eval()
    floating = tuple(x for x in xs if x.dtype.kind == "f")
    if floating:
        rest = [x for x in xs if x.dtype.kind != "f"]
        cr.check_grads(lambda *xs: module(*xs, *rest), floating, order=2, rtol=1e-5, atol=1e-5)


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_compiled_is_eager_and_keeps_the_dtype(layer: Layer, dtype: Any) -> None:
    eager, xs = layer.make({"dtype": dtype}), layer.data(dtype)
    state = copy.deepcopy(eager)
    compiled = cr.compile(lambda *xs: step(state, list(xs)))
    rtol = 1e-12 if dtype is np.float64 else 2e-5
    for _ in range(2):  # the second time with what the first has drawn and counted
        want, got = step(eager, xs), compiled(*xs)
        for a, b in zip(arrays(got), arrays(want), strict=True):
            assert a.dtype == b.dtype == dtype
            scale = np.max(np.abs(b), initial=1.0)
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * scale)
    for name, a in eager.state_dict().items():
        np.testing.assert_allclose(state.state_dict()[name], a, rtol=0, atol=rtol, err_msg=name)


@each
def test_forward_alone_compiles(layer: Layer) -> None:
    eager = layer.make({})
    other = copy.deepcopy(eager)
    for a, b in zip(
        arrays(cr.compile(lambda *xs: other(*xs))(*layer.data())), arrays(eager(*layer.data())), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@each
def test_state_goes_from_one_to_another(layer: Layer) -> None:
    module, other = layer.make({}), layer.make({})
    rng = np.random.default_rng(0)
    state = {name: rng.uniform(0.5, 1.5, a.shape) for name, a in module.state_dict().items()}
    for m in (module, other):
        m.load_state_dict(state)
        m.eval()
    assert {name: a.tolist() for name, a in other.state_dict().items()} == {
        name: a.tolist() for name, a in state.items()
    }
    for a, b in zip(arrays(module(*layer.data())), arrays(other(*layer.data())), strict=True):
        assert np.array_equal(a, b)


@each
def test_frozen_it_computes_the_same_and_has_no_parameters(layer: Layer) -> None:
    module, frozen = layer.make({}), layer.make({}).freeze()
    assert frozen.parameters() == []
    for a, b in zip(arrays(module(*layer.data())), arrays(frozen(*layer.data())), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    assert list(frozen.state_dict()) == list(module.state_dict())


@each
def test_an_input_of_another_shape_names_the_path(layer: Layer) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            self.encoder = nn.Sequential(nn.Identity(), layer.make({}))

        def forward(self, *xs: Any) -> Any:
            return self.encoder[1](*xs)

    xs = layer.data()
    wrong = [np.zeros((*x.shape[:1], 11, *x.shape[1:-1], 13)) for x in xs]
    if xs[0].dtype.kind == "f" and type(layer.make({})) in CHECKED:
        with pytest.raises(ValueError, match=r"^encoder\.1[.:\d]* ?.*expected .*") as caught:
            Model()(*wrong)
        assert "got" in str(caught.value) or "x is" in str(caught.value)


CHECKED = {
    nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.MaxPool1d,
    nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.RMSNorm,
    nn.GroupNorm,
}  # fmt: skip


def test_every_layer_has_a_row() -> None:
    made: set[type] = {type(m) for layer in LAYERS for _, m in layer.make({}).named_modules()}
    public = {
        kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)
    } - {nn.Module}
    assert public <= made, public - made


@pytest.mark.parametrize(("make", "text"), [
    (lambda: nn.Conv2d(3, 16, 3, padding=1),
     "Conv2d(3 -> 16, kernel 3×3, padding 1×1, 448 parameters, float64)"),
    (lambda: nn.Conv1d(4, 4, 3, 2, 1, groups=2, bias=False, dtype=np.float32),
     "Conv1d(4 -> 4, kernel 3, stride 2, padding 1, groups 2, no bias, 24 parameters, float32)"),
    (lambda: nn.Bilinear(3, 4, 2), "Bilinear(3, 4 -> 2, 26 parameters, float64)"),
    (lambda: nn.Embedding(10, 3), "Embedding(10 -> 3, 30 parameters, float64)"),
    (lambda: nn.MaxPool2d(3, 2, 1), "MaxPool2d(3×3, stride 2×2, padding 1×1)"),
    (lambda: nn.BatchNorm2d(3), "BatchNorm2d(3, 6 parameters, float64)"),
    (lambda: nn.LayerNorm((3, 4), elementwise_affine=False), "LayerNorm(3×4, 0 parameters)"),
    (lambda: nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
    (lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.1)), "Sequential(\n  0 = ReLU()\n  1 = Dropout(0.1)\n)"),
])  # fmt: skip
def test_repr(make: Any, text: str) -> None:
    assert repr(make()) == text


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: nn.Conv2d(3, 4, 0), ValueError, "Conv2d: kernel_size is 0; expected at least 1"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError,
     r"kernel_size is \(3, 3, 3\); expected one integer, or 2"),
    (lambda: nn.Conv2d(3, 4, 3, padding="valid"), ValueError, "padding is 'valid'; expected 'same'"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), ValueError, r"padding is 'same' and stride is \(2, 2\)"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels is 3; expected a multiple of groups, 2"),
    (lambda: nn.Conv2d(3, 4, 3, dtype=int), TypeError, "Conv2d: dtype is int64"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1), ValueError, "expected less than the stride"),
    (lambda: nn.MaxPool2d(2, padding=2), ValueError, "expected at most half"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "num_channels is 3; expected a multiple of num_groups, 2"),
    (lambda: nn.LayerNorm(()), ValueError, "normalized_shape is empty"),
    (lambda: nn.Dropout(1.5), ValueError, "p is 1.5; expected a probability"),
    (lambda: nn.GELU("fast"), ValueError, "approximate is 'fast', expected 'none' or 'tanh'"),
    (lambda: nn.Sequential([nn.ReLU()]), TypeError, r"argument 0 is \[ReLU\(\)\]; expected modules"),
    (lambda: nn.Embedding(True, 2), TypeError, "num_embeddings is True; expected an integer"),
])  # fmt: skip
def test_wrong_arguments_are_named(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(("module", "x", "match"), [
    (nn.Conv2d(16, 4, 3, rng=0), (2, 3, 8, 8), r"Conv2d: expected \(N, 16, H, W\), got \(2, 3, 8, 8\)"),
    (nn.Conv2d(3, 4, 9, padding=1, rng=0), (2, 3, 6, 8),
     r"the kernel covers \(9, 9\), the padded image is \(8, 10\)"),
    (nn.ConvTranspose2d(3, 4, 1, padding=1, rng=0), (2, 3, 2, 8), r"an image \(2, 8\) with padding \(1, 1\)"),
    (nn.MaxPool2d(4), (2, 3, 3, 8), r"a window is \(4, 4\), the padded image is \(3, 8\)"),
    (nn.BatchNorm1d(3), (1, 3), "1 value per channel in training; expected at least 2"),
    (nn.Flatten(2, 3), (2, 3), "axes 2 to 3 of"),
    (nn.Residual(nn.Linear(2, 3, rng=0)), (5, 2), r"the module made \(5, 3\) of \(5, 2\)"),
    (nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(16, 4, 3, rng=0))), (2, 3, 8, 8),
     r"^1\.0: expected \(N, 16, H, W\), got \(2, 3, 8, 8\)"),
])  # fmt: skip
def test_wrong_inputs_are_named(module: nn.Module, x: tuple[int, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        module(np.ones(x))


@pytest.mark.parametrize("dtype", [str, object])
@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 2), lambda: nn.Conv1d(3, 2, 3), nn.Softmax, nn.ReLU])
def test_what_is_no_number_is_named(make: Any, dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"^0: .*expected .*number"):
        nn.Sequential(make())(np.ones((2, 3, 3)).astype(dtype))
