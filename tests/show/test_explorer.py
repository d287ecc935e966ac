"""`explore`: whatever it is given, a page that shows it, and nothing changed."""

import base64
import hashlib
import html
import json
import re
import stat
import sys
import webbrowser

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn
from chainrule.micrograd.nn import MLP
from chainrule.show import document
from chainrule.show.explorer import explore


@pytest.fixture(autouse=True)
def page_files(tmp_path, monkeypatch):
    """A script and a style that are quicker to read than the real ones."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "explorer.js").write_text('"</script><!--";', encoding="utf-8")
    (folder / "explorer.css").write_text("body{margin:0}/*</style>*/", encoding="utf-8")
    monkeypatch.setattr(document, "_PAGE", folder)


def gradients(page):
    nodes = page.data["nodes"]
    return {name: g for name, g in zip(nodes["name"], nodes["gradient"]) if name}


def test_values_with_the_names_of_the_caller():
    a, b = Value(2.0), Value(-3.0)
    c = a * b
    c.backward()
    page = explore(c)
    assert page.data["title"] == "Graph of c"
    assert gradients(page) == {"a": -3.0, "b": 2.0, "c": 1.0}
    assert gradients(cr.explore({"first": c, "second": a * a}, names={"bee": b}))["bee"] == 2.0


def test_a_function_is_run_on_values_and_its_gradient_shown():
    outside = Value(3.0)

    def f(x, p, n):
        return np.sum(x * p["w"]) * n * outside

    x, p = np.array([1.0, 2.0]), {"w": np.array([3.0, 4.0]), "name": "p"}
    page = explore(f, x, p, 2)
    assert gradients(page) == {"x": "[18 24]", "p['w']": "[6 12]", "outside": 22.0}
    assert outside.grad == 0.0
    lines = {line["line"] for line in page.data["lines"]}
    assert lines == {f.__code__.co_firstlineno + 1}
    assert "np.sum(x * p" in page.data["files"][0]["text"][str(*lines)]


def test_a_function_that_goes_backward_itself_shows_its_own_gradients():
    w = Value(3.0)

    def step():
        loss = w * w
        loss.backward(2.0)
        return loss

    assert gradients(explore(step))["w"] == 12.0


def test_a_model_shows_its_loss_and_messages_and_is_as_before():
    r = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Linear(2, 8, rng=0), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5, rng=1), nn.Linear(8, 1, rng=2)
    )
    x, y = r.normal(size=(6, 2)), np.array([0, 1, 0, 1, 1, 0])
    model[0].weight.grad = np.ones((2, 8))

    def state():
        attributes = [x for m in model.modules() for x in vars(m).values()]
        generators = [g for g in attributes if isinstance(g, np.random.Generator)]
        assert generators
        numbers = {name: a.tolist() for name, a in model.state_dict().items()}
        return numbers, [repr(g.bit_generator.state) for g in generators]

    before = state()
    page = explore(model, x, y)
    assert state() == before
    assert np.array_equal(model[0].weight.grad, np.ones((2, 8)))

    rows = {row["path"]: row for row in page.data["modules"]}
    assert list(rows) == ["", "0", "1", "2", "3", "4"]
    assert rows["4"]["type"] == "Linear"
    for before_, after in (("0", "1"), ("1", "2"), ("2", "3"), ("3", "4")):
        assert rows[before_]["outputs"] == rows[after]["inputs"]
        assert rows[before_]["incoming"] == rows[after]["outgoing"]
    names = [page.data["groups"][row["group"]]["name"] for row in rows.values()]
    assert names == ["Sequential", "0: Linear", "1: BatchNorm1d", "2: Tanh", "3: Dropout", "4: Linear"]
    edges = {tuple(list(rows)[k] for k in pair) for pair in page.data["module_edges"]}
    assert edges == {("0", "1"), ("1", "2"), ("2", "3"), ("3", "4")}

    # the two runs had the same draws: the graph's numbers are those of the messages
    nodes, column = page.data["nodes"], page.data["nodes"]["group"]
    last = max(i for i, g in enumerate(column) if g == rows["4"]["group"])
    assert nodes["data"][last] == rows["4"]["outputs"][0]["text"]
    assert nodes["gradient"][last] == rows["4"]["incoming"][0]["text"]


def test_the_network_of_a_multilayer_perceptron():
    model = nn.MLP([2, 3, 1], activation="tanh", rng=0)
    x, y = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0], [0.0]])
    network = explore(model, x, y).data["network"]
    assert [layer["name"] for layer in network["layers"]] == ["inputs", "hidden 1", "outputs"]
    assert network["layers"][0]["values"] == [0.5, -1.0]
    hidden = np.tanh(x @ model.layers[0].weight.data + model.layers[0].bias.data)
    np.testing.assert_allclose(network["layers"][1]["values"], hidden[0])
    assert network["weights"][0] == model.layers[0].weight.data.tolist()
    assert network["activation"] == "tanh"
    residual = (model(x).data - y)[0, 0]
    np.testing.assert_allclose(network["layers"][2]["gradients"], [2 * residual / 2])


def test_the_network_of_scalars():
    model = MLP(2, [3, 1])
    page = explore(model, [0.5, -1.0])
    network = page.data["network"]
    assert network["layers"][0]["values"] == [0.5, -1.0]
    assert [len(layer["values"]) for layer in network["layers"]] == [2, 3, 1]
    assert network["weights"][0][1][2] == model.layers[0].neurons[2].w[1].data
    assert network["layers"][2]["gradients"] == [1.0]
    assert all(p.grad == 0.0 for p in model.parameters())


def test_losses_by_default_and_by_hand():
    model, x = nn.MLP([2, 3], rng=0), np.ones((4, 2))
    labels, numbers = np.array([0, 1, 2, 0]), np.zeros((4, 3))

    def shown(*args, **keywords):
        page = explore(*args, **keywords)
        return page.data["nodes"]["data"][page.data["outputs"][0]]

    assert shown(model, x, labels) == nn.cross_entropy(model(x), labels).data
    assert shown(model, x, numbers) == nn.mse(model(x), numbers).data
    assert shown(model, x, numbers, loss=nn.mae) == nn.mae(model(x), numbers).data
    alone = explore(model, x)
    assert alone.data["nodes"]["gradient"][-1] is None
    assert alone.data["modules"][0]["incoming"] == []


def test_a_compiled_program_and_a_compiled_function_with_arguments():
    @cr.compile
    def f(x):
        return np.sum(np.tanh(x) * 2.0)

    f(np.ones(3))
    for page in (explore(f), explore(f.graph)):
        assert page.data["title"] == "Program of f"
        assert "tanh" in [o["name"] for o in page.data["operations"]]
        json.loads(json.dumps(page.data, allow_nan=False))
    assert gradients(explore(f, np.ones(3)))["x"] == "[0.8399 0.8399 0.8399]"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: explore(3.0), r"explore: value is float, expected a Value or a list of Values"),
        (lambda: explore([]), r"explore: value is empty"),
        (lambda: explore([Value(1.0), 2]), r"explore: element 1 of value is int"),
        (lambda: explore(Value(1.0), 2.0), r"explore: value is Value, which takes no arguments, and 1 came"),
        (lambda: explore(lambda: 3.0), r"explore: <lambda> returned float without a Value"),
        (lambda: explore(lambda x: None, 1.0), r"explore: <lambda> returned NoneType without a Value"),
        (lambda: explore(nn.MLP([1, 1])), r"explore: MLP was given no input; write explore\(model, x\)"),
        (lambda: explore(nn.MLP([1, 1]), 1, 2, 3), r"explore: MLP was given 3 arguments, expected the 1 of"),
        (lambda: explore(Value(1.0), names=[]), r"explore: names is list, expected a dict"),
        (lambda: explore(Value(1.0)).save("page.pdf"), r"Explorer.save: 'page.pdf' ends in '.pdf', expected"),
    ],
)
def test_what_cannot_be_explored_is_named(call, error):
    with pytest.raises((TypeError, ValueError), match=error):
        call()


# ---------------------------------------------------------------- the page


def test_the_page_allows_its_own_script_and_style_and_nothing_else():
    page = explore(Value(2.0) * 3.0).html
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert policy.startswith("default-src 'none';")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL).group(1)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    for text, kind in ((script, "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert script == '"<\\/script><\\!--";'


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--", "]]>", "\u2028", "&lt;"])
def test_names_do_not_end_the_data(name):
    x = Value(2.0, name=name)
    page = explore(x * x).html
    start = page.index('id="graph">') + len('id="graph">')
    data = page[start : page.index("</script>", start)]
    assert not set("<>&\u2028\u2029") & set(data)
    assert json.loads(data)["nodes"]["name"][0] in {name, "\\u2028"}
    assert page.count("<script") == 2


def test_saving_is_whole_or_not_at_all(tmp_path, monkeypatch):
    page = explore(Value(2.0) * 3.0)
    path = page.save(tmp_path / "graph.html")
    assert path.read_text(encoding="utf-8") == page.html
    assert json.loads(page.save(tmp_path / "graph.json").read_text()) == page.data
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        page.save(tmp_path / "graph.html")
    assert path.read_text(encoding="utf-8") == page.html
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.html", "graph.json", "page"]


def test_opening_writes_a_file_that_only_its_owner_can_read(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = explore(Value(2.0) * 3.0).open()
    assert opened == [path.as_uri()]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.unlink()
    path.parent.rmdir()


def test_a_notebook_gets_a_frame_a_picture_and_a_text():
    x = Value(2.0)
    page = explore(x * x)
    bundle = page._repr_mimebundle_()
    frame = re.fullmatch(r'<iframe title="Graph" srcdoc="([^"]*)" [^>]*></iframe>', bundle["text/html"])
    assert html.unescape(frame.group(1)) == page.html
    assert 'sandbox="allow-scripts allow-downloads"' in bundle["text/html"]
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "x * x" in bundle["text/plain"]
    many = explore([x * float(i) for i in range(200)])
    assert set(many._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert many._repr_mimebundle_()["text/plain"] == "<Explorer of 401 nodes; .save(path), .open()>"


def test_the_widget_knows_what_is_selected():
    page = explore(Value(2.0) * 3.0)
    w = page.widget(height=300)
    assert (w.selected, w.step, w.height, w.html) == (None, 0, 300, page.html)
    w.selected = 2
    with pytest.raises(Exception, match="greater than 2"):
        w.selected = 3


def test_the_widget_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"Explorer.widget needs anywidget.*chainrule\[notebook\]"):
        explore(Value(2.0)).widget()
