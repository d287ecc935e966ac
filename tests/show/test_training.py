"""Pictures of training: what they contain, and that they are what their suffix says."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

from chainrule import Value, train  # noqa: E402
from chainrule.show.training import BoundaryFilm, _running_mean, training_curves, wrong_digits  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def curves():
    found = train.Curves()
    rng = np.random.default_rng(0)
    for k in range(200):
        found.record(k, loss=np.exp(-k / 30) + 0.01 + 0.02 * rng.random())
    for k in range(0, 200, 20):
        found.record(k, **{"training accuracy": 1 - 0.5**k, "test accuracy": 0.9})
    return found


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_curves_are_an_svg_with_text_as_text(curves):
    svg = training_curves(curves, panels=[["loss"], ["training accuracy", "test accuracy"]])
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert {"loss", "training accuracy", "test accuracy", "100 %"} <= set(words(svg))
    assert root.attrib["aria-label"].startswith("loss ends at 0.0")


def test_curves_take_their_colours_from_the_page(curves):
    svg = training_curves(curves)
    assert "currentColor" in svg
    assert "var(--chainrule-1, #0072B2)" in svg
    assert "#01020" not in svg  # no stand-in left


def test_curves_do_not_style_or_name_anything_else_in_the_page(curves):
    svg = training_curves(curves)
    assert "<style" not in svg
    assert "<metadata" not in svg
    ids = {e.attrib["id"] for e in ET.fromstring(svg).iter() if "id" in e.attrib}
    assert ids == set(re.findall(r'(?:url\(|href=")#([^")]*)', svg))  # only what is referred to has a name


def test_the_same_curves_give_the_same_text(curves):
    assert training_curves(curves) == training_curves(curves)


@pytest.mark.parametrize("numbers", [[1.0], [0.0, 0.0], [1.0, 1e-9], [-1.0, 2.0], [np.inf, 1.0]])
def test_short_flat_and_extreme_curves_are_drawn(numbers):
    assert training_curves({"loss": (np.arange(len(numbers)), np.array(numbers))}).startswith("<svg")


@pytest.mark.parametrize("panels", [[], [[]], [["speed"]], [["loss"] * 3]])
def test_panels_that_cannot_be_drawn_are_named(curves, panels):
    with pytest.raises(ValueError, match="training_curves: panels is"):
        training_curves(curves, panels=panels)


def test_names_are_escaped():
    svg = training_curves({'a<b&"c': (np.arange(2), np.ones(2))})
    assert 'a<b&"c' in words(svg)


def test_running_mean_keeps_smooth_curves_lines_and_means():
    smooth = np.exp(-np.arange(200) / 30)
    assert _running_mean(smooth) is smooth
    rough = np.arange(200) + np.where(np.arange(200) % 2, 50.0, -50.0)
    mean = _running_mean(rough)
    assert mean.shape == rough.shape
    assert np.abs(np.diff(mean[10:-10])).max() < 15  # the zigzag of 100 is gone
    np.testing.assert_allclose(mean[10:-10], np.arange(200)[10:-10], atol=6)


@pytest.fixture
def film():
    slope = [0.0]
    points = np.random.default_rng(0).normal(size=(30, 2))
    made = BoundaryFilm(points, points[:, 0] > 0, lambda x: Value(slope[0] * x[:, 0]), size=96, resolution=24)
    for slope[0] in (-2.0, 0.0, 1.0, 5.0):
        made.record(f"slope {slope[0]}")
    return made


def test_a_film_has_a_frame_per_record_and_they_differ(film):
    frames = film.frames()
    assert len(film) == len(frames) == 4
    assert {frame.size for frame in frames} == {(96, 96 + 12)}
    assert {frame.size for frame in film.frames(caption=False)} == {(96, 96)}
    assert len({frame.tobytes() for frame in frames}) == 4


def test_the_colours_tell_the_side(film):
    pixels = np.asarray(film.frames(caption=False)[-1], dtype=int)
    left, right = pixels[2:94, 2].mean(axis=0), pixels[2:94, 93].mean(axis=0)
    assert left[2] > left[0] + 60  # blue where the score is negative
    assert right[0] > right[2] + 60  # orange where it is positive


@pytest.mark.parametrize(("suffix", "form"), [(".webp", "WEBP"), (".gif", "GIF")])
def test_the_animation_repeats_and_rests_at_its_end(film, tmp_path, suffix, form):
    path = tmp_path / f"film{suffix}"
    film.save(path, seconds=0.4)
    with Image.open(path) as animation:
        assert animation.format == form
        assert animation.n_frames == 4
        assert animation.info["loop"] == 0
        durations = []
        for i in range(4):
            animation.seek(i)
            animation.load()
            durations.append(animation.info["duration"])
    assert durations[:3] == [100] * 3
    assert durations[3] > 1000


def test_filmstrip_and_sheet_hold_the_frames(film):
    frames = film.frames()
    strip = film.filmstrip(3)
    assert strip.size == (3 * 96 + 2 * 8, 108)
    assert strip.crop((0, 0, 96, 108)).tobytes() == frames[0].tobytes()
    assert strip.crop((208, 0, 304, 108)).tobytes() == frames[-1].tobytes()
    sheet, columns, rows = film.sheet()
    assert (columns, rows, sheet.size) == (2, 2, (192, 216))
    for i, frame in enumerate(frames):
        x, y = i % columns * 96, i // columns * 108
        assert sheet.crop((x, y, x + 96, y + 108)).tobytes() == frame.tobytes()


def test_film_errors(film, tmp_path):
    with pytest.raises(ValueError, match=r"expected \.webp or \.gif"):
        film.save(tmp_path / "film.mp4")
    with pytest.raises(ValueError, match=r"points are \(3, 3\)"):
        BoundaryFilm(np.ones((3, 3)), np.ones(3), lambda x: x)
    with pytest.raises(ValueError, match=r"labels \(2,\)"):
        BoundaryFilm(np.ones((3, 2)), np.ones(2), lambda x: x)
    with pytest.raises(ValueError, match="nothing is recorded"):
        BoundaryFilm(np.ones((3, 2)), np.ones(3), lambda x: x[:, 0]).frames()


def test_wrong_digits_shows_only_the_wrong_ones_most_confident_first():
    images = np.random.default_rng(0).random((4, 8, 8))
    labels = np.array([0, 1, 2, 0])
    p = np.array([[0.9, 0.05, 0.05], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    root = ET.fromstring(wrong_digits(images, labels, p))
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == ["2 taken for 1", "1 taken for 0", "0 taken for 2"]
    assert root.attrib["aria-label"] == "3 wrong: 2 taken for 1, 1 taken for 0, 0 taken for 2"
    assert "80 %" in words(ET.tostring(root))
    few = ET.fromstring(wrong_digits(images, labels, p, most=2))
    assert len(list(few.iter(f"{SVG}title"))) == 2


def test_wrong_digits_without_mistakes_and_with_shapes_that_do_not_fit():
    assert "0 wrong" in wrong_digits(np.ones((1, 8, 8)), [0], [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"images are \(1, 64\)"):
        wrong_digits(np.ones((1, 64)), [0], [[1.0, 0.0]])
