"""Text: a small transformer reads Python's reference manual, character by character, and goes on writing it.

All it learns is which character comes next; spelling, indentation and the headlines with their underlines
follow from that.  Attention is what lets it look back: to the opening bracket, to the name that it is about
to repeat.  The text is what ``help()`` shows, so it is wherever Python is (and what is learnt differs a
little from version to version).
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, train

CONTEXT, WIDTH, HEADS = 64, 128, 4


class Transformer(nn.Module):
    """Logits (N, T, symbols) of the character after each of (N, T), from those up to it."""

    def __init__(self, symbols: int, blocks: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        start: dict[str, Any] = {"rng": rng, "dtype": np.float32}
        self.symbols = nn.Embedding(symbols, WIDTH, **start)
        self.places = nn.Embedding(CONTEXT, WIDTH, **start)
        self.blocks = [nn.TransformerBlock(WIDTH, HEADS, causal=True, **start) for _ in range(blocks)]
        self.norm = nn.LayerNorm(WIDTH, dtype=np.float32)
        self.head = nn.Linear(WIDTH, symbols, **start)

    def forward(self, codes: Any) -> Any:
        x = self.symbols(codes) + self.places(np.arange(codes.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(0)
    text, rest = train.data.python_topics().split(0.95)
    unseen = rest.sample(256, CONTEXT, rng)
    steps, blocks = (50, 1) if quick else (3000, 2)
    model = Transformer(len(text.characters), blocks)
    optimiser = optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.1)
    schedule = optim.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps, pct_start=0.1)
    curves = train.Curves()

    @cr.compile
    def step(codes, following):
        loss = nn.cross_entropy(model(codes), following)
        optimiser.zero_grad()
        loss.backward()
        optim.clip_grad_norm(optimiser.parameters, 1.0)
        optimiser.step()
        return loss

    for k in range(steps):
        curves.record(k, loss=step(*text.sample(16, CONTEXT, rng)))
        schedule.step()
        if (k + 1) % (steps // 10) == 0:
            loss = train.evaluate(model, unseen, nn.cross_entropy, compile=True)["loss"]
            curves.record(k, unseen=loss)
            print(f"step {k + 1}: on unseen text the loss is {loss:.3f}")

    start = 'The "for" statement\n*******************\n\nThe "for" statement is used'
    written = start + write(model, text, start, 100 if quick else 1000, rng)
    (output / "text.txt").write_text(written + "\n")
    print(written)
    draw(curves, len(text.characters), output / "text.png")
    return {"loss": float(np.mean(curves["loss"][1][-20:])), "unseen_loss": curves.last("unseen")}


def write(model: nn.Module, text: Any, start: str, length: int, rng: np.random.Generator) -> str:
    """Draw one character after the other from what the model expects, a little on the safe side."""
    codes = text.encode(start)
    for _ in range(length):
        logits = train.predict(model, codes[None, -CONTEXT:])[0, -1]
        codes = np.append(codes, rng.choice(len(logits), p=cr.softmax(logits.astype(float) / 0.7)))
    return text.decode(codes[len(start) :])


# ---------------------------------------------------------------- the picture


def draw(curves: train.Curves, symbols: int, path: pathlib.Path) -> None:
    """The loss while it trained, on what it read and on what it never saw."""
    from examples._pictures import BLUE, INK, VERMILION, panels, save, smoothed, title

    figure, ((axes,),) = panels(1, 1, 7.0, 3.4)
    steps, losses = curves["loss"]
    axes.plot(steps, losses, color=BLUE, linewidth=0.5, alpha=0.3)
    axes.plot(*smoothed(*curves["loss"]), color=BLUE, linewidth=2, label="what it reads")
    axes.plot(*curves["unseen"], "o-", color=VERMILION, label="text it never saw")
    axes.axhline(np.log(symbols), color=INK, linestyle=":", label=f"a guess among {symbols} characters")
    axes.legend(frameon=False)
    axes.set(xlabel="step", ylim=(0, None))
    title(axes, "cross-entropy of the next character")
    save(figure, path)
