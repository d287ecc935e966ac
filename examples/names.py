"""Names: a recurrent network reads a few thousand names, letter by letter, and invents new ones.

All that it knows of the letters so far is its state, 128 numbers that a gated unit (GRU) rewrites at each
letter; `chainrule.scan` inside the layer makes a loop of it that is compiled once, whatever its length.  Most
of what it writes is no name that it read, yet sounds like one.  Without the package `names` it reads the
names of Python's own modules and functions instead.
"""

from __future__ import annotations

import builtins
import pathlib
import sys
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train

END, BLANK = ".", " "  # ends a name, and fills the room behind it


class Writer(nn.Module):
    """Logits (N, T, symbols) of the letter after each of (N, T)."""

    def __init__(self, symbols: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        start: dict[str, Any] = {"rng": rng, "dtype": np.float32}
        self.letters = nn.Embedding(symbols, 32, **start)
        self.memory = nn.GRU(32, 128, **start)
        self.dropout = nn.Dropout(0.3, rng=rng)
        self.head = nn.Linear(128, symbols, **start)

    def read(self, codes: Any, state: Any = None) -> tuple[Any, Any]:
        """Logits, and the state from which to read on."""
        y, state = self.memory(self.letters(codes), state)
        return self.head(self.dropout(y)), state

    def forward(self, codes: Any) -> Any:
        return self.read(codes)[0]


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    words = some_names()
    text = train.data.Text("".join(words) + END + BLANK)
    size = max(map(len, words)) + 1
    # ".mary.   ", of which ".mary.  " is read and "mary.   " is expected
    codes = np.stack([text.encode((END + word + END).ljust(size + 1, BLANK)) for word in words])
    # what is blank counts nothing in the loss
    counts = np.array([letter != BLANK for letter in text.characters], np.float32)
    held_out = len(words) // 10
    learned, unseen = codes[held_out:], codes[:held_out]

    model = Writer(len(text.characters))
    optimiser = optim.Adam(model.parameters(), lr=3e-3)
    epochs = 1 if quick else 20
    history = train.fit(
        model,
        (learned[:, :-1], learned[:, 1:]),
        lambda logits, letters: nn.cross_entropy(logits, letters, weight=counts),
        optimiser,
        epochs=epochs,
        validation=(unseen[:, :-1], unseen[:, 1:]),
        schedule=optim.CosineAnnealingLR(optimiser, epochs),
    )
    found = invent(model, text, 400, size, np.random.default_rng(0))
    new = sorted(set(found) - set(words))
    some = ", ".join(word.capitalize() for word in new[:: len(new) // 16])
    print(f"{100 * len(new) / len(found):.0f} % of what it writes is new: {some}")
    draw(model, text, max(words[:held_out], key=len), history.curves, output / "names.png")
    return {"unseen_loss": history.curves.last("validation_loss"), "new": len(new) / len(found)}


def some_names() -> list[str]:
    """First names, or those of Python's modules and what is built in, in random order and small letters."""
    try:
        words = [*train.data.names("female"), *train.data.names("male")]
    except ImportError:
        print("the package names is not installed (pip install names); these are Python's own names")
        words = [word for word in (*sys.stdlib_module_names, *dir(builtins)) if word.isalpha()]
    words = sorted({word.lower() for word in words})
    return np.random.default_rng(0).permutation(words).tolist()


def invent(model: Writer, text: Any, count: int, most: int, rng: np.random.Generator) -> list[str]:
    """Write names side by side, each letter drawn from what the model expects."""
    letters, state, written = np.full(count, text.encode(END)[0]), None, [""] * count
    for _ in range(most):
        logits, state = model.read(letters[:, None], state)
        # the largest of logits + Gumbel's noise is a draw from their softmax
        letters = np.argmax(logits.data[:, 0] + rng.gumbel(size=(count, len(text.characters))), axis=1)
        written = [word + letter for word, letter in zip(written, text.decode(letters))]
    names = [word.partition(END)[0].strip(BLANK) for word in written]
    return [name for name in names if name]


# ---------------------------------------------------------------- the picture


def draw(model: Writer, text: Any, word: str, curves: train.Curves, path: pathlib.Path) -> None:
    """The loss while it trained, and what it expects while it reads a name that it never saw."""
    from examples._pictures import BLUE, VERMILION, panels, save, smoothed, title

    figure, ((left, right),) = panels(1, 2, 9.5, 5.0, width_ratios=[1, 1.2])
    left.plot(*smoothed(*curves["loss"]), color=BLUE, label="what it reads")
    left.plot(*curves["validation_loss"], "o-", color=VERMILION, label="names it never saw")
    left.set_xlabel("step")
    left.legend(frameon=False)
    title(left, "cross-entropy of the next letter")

    expected = cr.softmax(train.predict(model, text.encode(END + word)[None])[0])  # (T, symbols)
    shown = text.characters.replace(BLANK, "")
    expected = expected[:, text.encode(shown)]
    image = right.imshow(expected.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(word) + 1), ["start", *word])
    right.set_yticks(range(len(shown)), ["end" if letter == END else letter for letter in shown])
    right.plot([shown.index(letter) for letter in word + END], "o", color=VERMILION, markersize=5)
    right.set_xlabel("read so far")
    title(right, f"what it expects next, and what comes: {word}")
    figure.colorbar(image, ax=right, label="probability", shrink=0.6)
    save(figure, path)
