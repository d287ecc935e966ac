"""Exported models, run by onnxruntime, give what they give here."""

import numpy as np
import onnxruntime
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.interchange import ExportError, export_onnx

rng = np.random.default_rng(0)


class Language(nn.Module):
    """A transformer on tokens, with positions."""

    def __init__(self, causal=True):
        self.tokens, self.places = nn.Embedding(11, 8, rng=0), nn.Embedding(6, 8, rng=1)
        self.blocks = [nn.TransformerBlock(8, 2, dropout=0.5, causal=causal, rng=2) for _ in "ab"]
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 11, rng=3)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(np.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return cr.log_softmax(self.head(self.norm(x)))


class Two(nn.Module):
    """Two inputs, two outputs, one layer twice."""

    def __init__(self):
        self.layer = nn.Linear(3, 3, rng=0)

    def forward(self, a, b):
        h = np.tanh(self.layer(self.layer(a)))
        return {"sum": h + b, "first": h[:, 0]}


def images():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same", rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, 2, 1, dilation=2, groups=2, bias=False, rng=1), nn.GroupNorm(2, 6), nn.SiLU(),
        nn.Dropout(0.5), nn.GlobalAvgPool(), nn.Linear(6, 3, rng=2), nn.Softmax(),
    )  # fmt: skip


IMAGES, ROWS = rng.normal(size=(2, 4, 7, 6)), rng.normal(size=(2, 4))
MODELS = {
    "mlp": (nn.MLP([4, 8, 3], rng=0), ROWS),
    "convolutional": (images(), rng.normal(size=(2, 1, 12, 10))),
    "transformer": (Language(), rng.integers(0, 11, (2, 6))),
    "two of each": (Two(), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))),
    "frozen": (nn.MLP([4, 8, 3], rng=0).freeze(), ROWS),
    "conv transpose": (nn.ConvTranspose2d(4, 6, 3, 3, 1, 2, 2, True, 2, rng=0), IMAGES),
    "conv 1d": (nn.Conv1d(4, 6, 3, 2, 1, rng=0), rng.normal(size=(2, 4, 9))),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4, rng=0), IMAGES),
    "max pool": (nn.MaxPool2d(3, 2, 1), IMAGES),
    "average pool": (nn.AvgPool2d((2, 3), padding=1), IMAGES),
    "max pool over the end": (nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGES),
    "average pool over the end": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGES),
    "adaptive pool": (nn.AdaptiveAvgPool2d((3, 4)), IMAGES),
    "batch norm": (nn.BatchNorm1d(4, affine=False), ROWS),
    "layer norm": (nn.LayerNorm((7, 6), bias=False), IMAGES),
    "rms norm": (nn.RMSNorm(4), ROWS),
    "attention": (nn.MultiHeadAttention(8, 2, rng=0), rng.normal(size=(2, 5, 8))),
    "residual": (nn.Sequential(nn.Residual(nn.Linear(4, 4, rng=0)), nn.Flatten()), ROWS),
    "bilinear": (nn.Bilinear(4, 4, 2, rng=0), ROWS, ROWS + 1),
    **{
        name: (getattr(nn, name)(), ROWS)
        for name in (
            "ReLU LeakyReLU ELU SELU GELU SiLU Tanh Sigmoid Softplus Softmax LogSoftmax Identity"
        ).split()
    },
}


def run(path, *inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {
        i.name: x.astype("f") if x.dtype.kind == "f" else x for i, x in zip(session.get_inputs(), inputs)
    }
    return session, session.run(None, given)


def flat(x):
    return [cr.data(x[name]) for name in sorted(x)] if isinstance(x, dict) else [cr.data(x)]


def near(got, want):
    for a, b in zip(got, want, strict=True):
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "any batch"])
@pytest.mark.parametrize("name", MODELS)
def test_models(name, dynamic, tmp_path):
    model, *inputs = MODELS[name]
    for buffer in (v for path, v in model.named_buffers()):  # as if trained
        buffer.data = np.abs(rng.normal(size=buffer.shape)) + 0.5
    made = export_onnx(model, tmp_path / "m", *inputs, dynamic_batch=dynamic)
    if dynamic:
        inputs = [np.concatenate([x, x[::-1], x]) for x in inputs]
    session, got = run(tmp_path / "m", *inputs)
    near(got, flat(model.eval()(*inputs)))
    batch = "batch" if dynamic else 2
    assert [i.shape[0] for i in session.get_inputs()] == [batch] * len(inputs)
    assert all(o.shape[0] == batch for o in session.get_outputs())
    outputs = ["output['first']", "output['sum']"] if name == "two of each" else ["output"]
    assert [o.name for o in session.get_outputs()] == outputs
    numbers = {a.name for a in made.graph.initializer}
    assert {path for path in model.state_dict() if not path.startswith("/")} <= numbers


def test_the_mode_and_the_parameters_stay_as_they_were(tmp_path):
    model = images().train()
    model[1].eval()
    before = model.state_dict()
    export_onnx(model, tmp_path / "m", rng.normal(size=(2, 1, 12, 10)))
    assert [m.training for _, m in model.named_modules()][:4] == [True, True, False, True]
    assert all(np.array_equal(a, before[path]) for path, a in model.state_dict().items())
    assert not any("_forward_hooks" in vars(m) for _, m in model.named_modules())


def test_layers_are_one_operation_each(tmp_path):
    made = export_onnx(images(), tmp_path / "m", rng.normal(size=(2, 1, 12, 10)))
    ops = [node.op_type for node in made.graph.node]
    assert ops[:5] == ["Conv", "BatchNormalization", "Relu", "MaxPool", "Conv"]
    assert ops[-2:] == ["Softmax", "Identity"]
    assert ops.count("Transpose") == 2  # GroupNorm's


# ------------------------------------------------------------------ operations

A, B = rng.uniform(0.2, 0.8, (2, 3, 4)), rng.uniform(0.2, 0.8, (4,))
FUNCTIONS = {
    **{f.__name__: (f, A) for f in (
        np.negative, np.absolute, np.sign, np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p,
        np.sqrt, np.square, np.reciprocal, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh,
        np.cosh, np.tanh, np.arcsinh, np.arctanh, np.floor, np.ceil, np.rint, np.isnan, np.isfinite,
        cr.sigmoid, cr.softplus, cr.log_sigmoid, cr.erf, cr.gelu, cr.silu, cr.logsumexp, cr.softmax,
    )},
    "arccosh": (np.arccosh, A + 1),
    **{f.__name__: (f, A, B) for f in (
        np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.less,
        np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.logaddexp,
    )},
    **{f.__name__: (lambda x, f=f: f(x, axis=1), A) for f in (
        np.sum, np.max, np.min, np.prod, np.mean, np.std, np.argmax, np.argmin, np.cumsum,
    )},
    "copysign": (np.copysign, A, B - 0.5),
    "logical": (lambda a, b: ~((a < 0.5) & (b > 0.3)) | (a > 0.7) ^ (b < 0.4), A, B),
    "where": (lambda a, b: np.where(a > b, a, b), A, B),
    "cast": (lambda a: (3 * a).astype(int), A),
    "count": (lambda a: np.sum(a > 0.5, axis=0), A),
    "slices": (lambda a: a[:, ::-1][:, 1:, ::2], A),
    "pad": (lambda a: np.pad(a, ((0, 0), (1, 2), (0, 1))), A),
    "put together": (lambda a, b: np.concatenate([a, a + b], axis=-1), A, B),
    "stack": (lambda a, b: np.stack([a, a + b]), A, B),
    "broadcast": (lambda b: np.broadcast_to(b, (3, 4)), B),
    "transpose": (lambda a: np.transpose(a, (2, 0, 1)).reshape(4, 6), A),
    "matmul": (lambda a, b: a @ b, A, B),
    "picked": (lambda a, i: a[i], A[0], np.array([[0, -1], [1, 2]])),
    "picked by two": (lambda a, i: a[np.arange(3)[:, None], i], A[0], np.array([[0, -1]])),
    "vector": (lambda a: cr.array([a[0, 0, 0], 2.0 * a[1, 1, 1]]), A),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path):
    f, *inputs = FUNCTIONS[name]
    export_onnx(f, tmp_path / "m", *inputs)
    _, (got,) = run(tmp_path / "m", *inputs)
    near([got], [f(*inputs)])


def test_a_function_of_values_with_names(tmp_path):
    w, twin = Value(rng.normal(size=(4, 2)), name="w"), Value(rng.normal(size=(4, 2)), name="w")
    made = export_onnx(lambda x: x @ w + x @ twin, tmp_path / "m", ROWS)
    near(run(tmp_path / "m", ROWS)[1], [ROWS @ w.data + ROWS @ twin.data])
    assert [a.name for a in made.graph.initializer] == ["w", "w_"]


def test_correlation_outside_of_a_layer(tmp_path):
    layer = nn.Conv2d(4, 3, 3, rng=0)
    export_onnx(lambda x: layer(x), tmp_path / "m", IMAGES)
    near(run(tmp_path / "m", IMAGES)[1], [layer(IMAGES).data])


def test_what_hooks_of_the_user_do_is_exported(tmp_path):
    layer = nn.Conv2d(4, 3, 3, rng=0)
    layer.register_forward_hook(lambda module, inputs, out: 2.0 * out)
    export_onnx(layer, tmp_path / "m", IMAGES)
    near(run(tmp_path / "m", IMAGES)[1], [layer(IMAGES).data])


def test_float64_where_the_runtime_has_it(tmp_path):
    model = nn.Linear(4, 3, rng=0)
    export_onnx(model, tmp_path / "m", ROWS, dtype=np.float64)
    session = onnxruntime.InferenceSession(tmp_path / "m")
    np.testing.assert_allclose(session.run(None, {"x": ROWS})[0], model(ROWS).data, rtol=1e-14)


# ------------------------------------------------------------------ what is refused

ANY = {"dynamic_batch": True}
RANDOM = cr.random.default_rng(0)


@pytest.mark.parametrize(("model", "inputs", "options", "error", "message"), [
    (nn.Sequential(nn.LSTM(3, 4)), [np.ones((2, 5, 3))], {}, ExportError, "0 (LSTM): scan is not translated"),
    (lambda x: np.linalg.inv(x), [np.eye(3)], {}, ExportError, "np.linalg.inv(x)"),
    (lambda x: x + RANDOM.random(3), [np.ones(3)], {}, ExportError, "random numbers"),
    (lambda x: 3.0, [np.ones(3)], {}, ExportError, "does not depend on its inputs"),
    (lambda x: x / len(x), [np.ones((4, 3))], ANY, ExportError, "depends on the batch"),
    (lambda x: x[1:], [np.ones((4, 3))], ANY, ExportError, "depends on the batch"),
    (lambda x, y: x, [np.ones(4), np.ones(5)], ANY, ValueError, "(4,), (5,)"),
    (np.tanh, [np.ones(3)], {"opset": 12}, ValueError, "opset is 12; expected 18 to"),
    (np.tanh, [np.ones(3)], {"dtype": int}, ValueError, "dtype is int64; expected"),
    (np.tanh, [np.array(["a"])], {}, ValueError, "example input 0 is <U1"),
])  # fmt: skip
def test_refusals_say_what_and_where(model, inputs, options, error, message, tmp_path):
    with pytest.raises(error) as caught:
        export_onnx(model, tmp_path / "m", *inputs, **options)
    assert message in str(caught.value)
    assert not (tmp_path / "m").exists()
