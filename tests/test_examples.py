"""Each example, run quickly: its figures, and the picture it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from examples import circle, descent, digits, moons, saliency, uncertainty
from examples.__main__ import NAMES, main


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
    docs = Path(__file__).resolve().parent.parent / "docs"
    (picture,) = (docs / "_static" / "examples").glob(f"{name}.*")
    assert f"_static/examples/{picture.name}" in (docs / "examples.md").read_text(encoding="utf-8")
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
