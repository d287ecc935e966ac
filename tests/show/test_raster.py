"""Pictures as pixels."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from chainrule import Value
from chainrule.show import raster
from chainrule.show.picture import draw


def picture():
    x, w = Value(2.0), Value(-0.5)
    y = (x * w + w).tanh()
    y.backward()
    return draw(y)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=int)


def test_a_png_has_the_size_and_colours_of_the_svg(tmp_path):
    p = picture()
    p.save(tmp_path / "graph.png")
    shown = pixels((tmp_path / "graph.png").read_bytes())
    sides = [2 * float(p.svg.split(f' {side}="')[1].split('"')[0]) for side in ("height", "width")]
    assert np.allclose(shown.shape[:2], sides, atol=1)
    colours = {tuple(c) for c in shown.reshape(-1, 3).tolist()}
    assert {(255, 255, 255), (0x00, 0x5F, 0x96), (0xB0, 0x46, 0x00), (0xD9, 0xEB, 0xF8)} <= colours


def test_a_film_goes_forward_and_then_backward(tmp_path):
    p = picture()
    for suffix in "gif", "webp":
        p.save(tmp_path / f"graph.{suffix}")
        with Image.open(tmp_path / f"graph.{suffix}") as film:
            assert (film.format, film.n_frames) == (suffix.upper(), 1 + 3 + 3 + 1)
    data, grad = (0x00, 0x5F, 0x96), (0xB0, 0x46, 0x00)
    frames = [pixels(raster.png(p.svg, style)) for style in raster._steps(p.description)]
    blue, orange = ([int((frame == c).all(axis=-1).sum()) for frame in frames] for c in (data, grad))
    assert blue[0] < blue[1] < blue[2] < blue[3] == blue[4] == blue[-1]
    assert 0 == orange[3] < orange[4] < orange[5] < orange[6] < orange[7]


def test_a_gradient_is_shown_once_it_is_complete():
    p = picture()
    values = [n.id for n in p.description.nodes if n.kind in {"leaf", "result"}]
    steps = raster._steps(p.description)
    shown = [sorted(v for v in values if f'"{v}"] .grad' not in style) for style in steps]
    assert shown == [[], [], [], [], ["v4"], ["v3", "v4"], ["v2", "v3", "v4"], ["v0", "v1", "v2", "v3", "v4"]]


def test_a_graph_that_is_too_long_to_walk_through_is_refused(tmp_path):
    x = Value(1.0)
    with pytest.raises(ValueError, match=r"the picture has 201 nodes, expected at most 100 for a .gif"):
        draw([x * float(k) for k in range(200)]).save(tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    p = picture()
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ImportError, match=r"needs resvg-py and pillow; run: pip install 'chainrule\[show\]'"):
        p.save(tmp_path / "x.png")
