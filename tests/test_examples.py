"""Each example, run quickly: its figures, and the picture it writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule import train
from examples import (
    cartpole,
    circle,
    descent,
    digits,
    fashion,
    moons,
    names,
    saliency,
    text,
    uncertainty,
    vae,
)
from examples.__main__ import NAMES, main

ROOT = Path(__file__).resolve().parent.parent


def test_moons(tmp_path: Path) -> None:
    figures = moons.run(tmp_path, quick=True)
    assert figures["accuracy"] > 0.97
    assert frames(tmp_path / "moons.webp") == figures["frames"] > 10


def test_circle(tmp_path: Path) -> None:
    assert circle.run(tmp_path, quick=True)["accuracy"] > 0.95
    check_picture(tmp_path / "circle.png")


def test_digits(tmp_path: Path) -> None:
    assert digits.run(tmp_path, quick=True)["accuracy"] > 0.97
    check_picture(tmp_path / "digits.png")


def test_uncertainty(tmp_path: Path) -> None:
    figures = uncertainty.run(tmp_path, quick=True)
    assert 0.93 < figures["inside"] < 0.975
    assert figures["spread_error"] < 0.2
    check_picture(tmp_path / "uncertainty.png")


def test_saliency(tmp_path: Path) -> None:
    figures = saliency.run(tmp_path, quick=True)
    assert figures["accuracy"] > 0.88
    assert figures["changed_salient"] > 0.5 > 3 * figures["changed_random"]
    check_picture(tmp_path / "saliency.png")


def test_descent(tmp_path: Path) -> None:
    figures = descent.run(tmp_path, quick=True)
    assert figures["momentum"] < 0.05 < figures["Adam"] < 0.3 < 1.5 < figures["steepest descent"]
    assert frames(tmp_path / "descent.webp") == figures["frames"] == 8


def patches() -> train.data.ImageSet:
    """What stands for the clothes where Debian's package is missing: a bright patch for each class."""
    rng = np.random.default_rng(0)
    labels = np.arange(1500) % 10
    images = rng.integers(0, 60, (1500, 28, 28)).astype(np.uint8)
    for image, k in zip(images, labels, strict=True):
        image[4 + 10 * (k // 5) :, 5 * (k % 5) :][:8, :8] += 150
    return train.data.ImageSet(images, labels, images[:1000], labels[:1000])


def test_fashion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        train.data.fashion_mnist()
    except FileNotFoundError:
        monkeypatch.setattr(train.data, "fashion_mnist", patches)
    figures = fashion.run(tmp_path, quick=True)
    assert figures["test_accuracy"] > 0.7
    assert not (tmp_path / "fashion.checkpoint").exists()
    check_picture(tmp_path / "fashion.png")


KILLED = """
import os, signal, sys
from pathlib import Path
from chainrule import train
from examples import fashion
from tests.test_examples import noisy_images

class Killer(train.Callback):
    def on_step(self, run):
        if run.step == 18:
            os.kill(os.getpid(), signal.SIGKILL)

fashion.learn(fashion.network(), *noisy_images(), 2, Path(sys.argv[1]), 5, callbacks=[Killer()])
"""


def noisy_images() -> tuple[np.ndarray, np.ndarray]:
    """Images, some brighter than others, that take 12 steps an epoch."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=800)
    return (rng.random((800, 1, 28, 28)) + labels[:, None, None, None]).astype(np.float32) / 10, labels


def test_fashion_survives_a_kill_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, str(interrupted)]
    path = os.pathsep.join(["src", ".", os.environ.get("PYTHONPATH", "")])
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert train.checkpoint.load(interrupted)[1]["step"] == 15  # in the second epoch; three steps are lost

    runs = [fashion.learn(fashion.network(), *noisy_images(), 2, path, 5) for path in (interrupted, whole)]
    resumed, undisturbed = (run.model.state_dict() for run in runs)
    for name, a in undisturbed.items():
        assert resumed[name].tobytes() == a.tobytes(), name
    np.testing.assert_array_equal(runs[0].curves["loss"], runs[1].curves["loss"])
    assert runs[1].step == 24


def test_text(tmp_path: Path) -> None:
    figures = text.run(tmp_path, quick=True)
    assert figures["unseen_loss"] < 2.7  # log 103 = 4.6 before
    assert (tmp_path / "text.txt").read_text(encoding="utf-8").startswith('The "for" statement')
    check_picture(tmp_path / "text.png")


@pytest.mark.parametrize("installed", [True, False])
def test_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], installed: bool
) -> None:
    def listed(which: str) -> list[str]:
        if not installed:
            raise ImportError
        return [a + b for a in ("Mar", "An", "Lin", "El") for b in ("a", "ina", "etta", "y", which)] * 30

    monkeypatch.setattr(train.data, "names", listed)
    figures = names.run(tmp_path, quick=True)
    assert ("Python's own names" in capsys.readouterr().out) != installed
    assert figures["unseen_loss"] < 3.2  # log 28 = 3.3 before
    check_picture(tmp_path / "names.png")


def test_vae(tmp_path: Path) -> None:
    figures = vae.run(tmp_path, quick=True)
    assert figures["test_loss"] < 28  # 64 log 2 = 44 before
    check_picture(tmp_path / "vae.png")


def test_cartpole(tmp_path: Path) -> None:
    figures = cartpole.run(tmp_path, quick=True)
    assert 8 < figures["last_20"] <= figures["longest"] <= cartpole.LONGEST
    check_picture(tmp_path / "cartpole.png")
    assert frames(tmp_path / "cartpole.webp") >= 2


def test_a_pole_left_alone_falls_and_a_push_tilts_it_the_other_way() -> None:
    state = np.zeros(4, np.float32)
    right, left = cartpole.push(state, 1), cartpole.push(state, 0)
    np.testing.assert_allclose(right, -left)
    # from rest, with nothing turning: pole and cart are pushed by 10 N, 1.1 kg in all
    shove = 10 / 1.1
    twist = -shove / (0.5 * (4 / 3 - 0.1 / 1.1))
    np.testing.assert_allclose(right, [0, 0.02 * (shove - 0.05 * twist / 1.1), 0, 0.02 * twist], rtol=1e-6)
    assert cartpole.stands(state) and not cartpole.stands(np.array([0, 0, 0.3, 0]))


def frames(path: Path) -> int:
    with Image.open(path) as film:
        return int(film.n_frames)


def check_picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()
        assert picture.width > 400 and len(picture.getcolors(2**24)) > 16  # something is drawn
    assert path.stat().st_size < 150_000


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_shows_each(name: str) -> None:
    pictures = list((ROOT / "docs" / "_static" / "examples").glob(f"{name}.*"))
    chapter = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert pictures
    for picture in pictures:
        assert f"_static/examples/{picture.name}" in chapter
        assert picture.stat().st_size <= 150_000


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{listed}" for name in NAMES)
    assert main(["uncertainty", "--quick", "--output", str(tmp_path / "new")]) == 0
    assert "inside 0.9" in capsys.readouterr().out
    assert (tmp_path / "new" / "uncertainty.png").exists()
    with pytest.raises(SystemExit):
        main(["sun", "--output", str(tmp_path)])
    assert "sun given; expected some of " in capsys.readouterr().err


def test_the_command_leaves_out_what_has_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise FileNotFoundError("fashion_mnist: there is neither; apt install dataset-fashion-mnist")

    monkeypatch.setattr(train.data, "fashion_mnist", missing)
    assert main(["fashion", "uncertainty", "--quick", "--output", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "left out: fashion_mnist: " in told.err and "uncertainty:" in told.out
