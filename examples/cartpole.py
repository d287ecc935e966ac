"""A pole on a cart: deep Q-learning finds out, by trial and error, how to keep it upright.

A network estimates how much longer each of two pushes will let the pole stand.  It learns from its own next
estimate, which is why two things are needed: a memory from which past moments are drawn in random order, and
a second network that gives the estimates to learn from and follows the first one slowly.  Without them it
would chase its own tail.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim

LONGEST = 200  # steps of an episode, 20 ms each
DISCOUNT = 0.98


def push(state: Any, right: int) -> Any:
    """The state 20 ms later: place and speed of the cart (m), angle and speed of the pole (rad).

    Source: Barto, Sutton, Anderson, "Neuronlike adaptive elements that can solve difficult learning control
    problems", 1983; a cart of 1 kg, a pole of 0.1 kg and 1 m, a force of 10 N.
    """
    x, v, angle, spin = state
    force, cart, pole, half = 10.0 if right else -10.0, 1.0, 0.1, 0.5
    shove = (force + pole * half * spin**2 * np.sin(angle)) / (cart + pole)
    lever = half * (4 / 3 - pole * np.cos(angle) ** 2 / (cart + pole))
    twist = (9.8 * np.sin(angle) - np.cos(angle) * shove) / lever
    pull = shove - pole * half * twist * np.cos(angle) / (cart + pole)
    return np.array([x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * twist], np.float32)


def stands(state: Any) -> bool:
    return bool(abs(state[0]) < 2.4 and abs(state[2]) < np.radians(12))


class Memory:
    """The last 20,000 moments: state, push, the state after it, and whether the pole then stood."""

    def __init__(self) -> None:
        self.count, self.size = 0, 20_000
        self.arrays = [np.zeros((self.size, *shape), np.float32) for shape in ((4,), (), (4,), ())]

    def add(self, *moment: Any) -> None:
        for array, x in zip(self.arrays, moment):
            array[self.count % self.size] = x
        self.count += 1

    def sample(self, n: int, rng: np.random.Generator) -> list[Any]:
        rows = rng.integers(min(self.count, self.size), size=n)
        return [array[rows] for array in self.arrays]


def run(output: pathlib.Path, quick: bool = False) -> dict[str, float]:
    rng, memory, lengths = np.random.default_rng(0), Memory(), []
    network, slow = (nn.MLP([4, 64, 64, 2], activation="relu", rng=1, dtype=np.float32) for _ in "ab")
    optimiser = optim.Adam(network.parameters(), lr=2e-3)
    values = cr.compile(network.forward)  # of both pushes (N, 2): 1 is to stand for ever

    @cr.compile
    def learn(state, pushed, after, stood):
        better = np.argmax(cr.data(network(after)), axis=1)  # the one says what to do next,
        worth = cr.stop_gradient(pick(slow(after), better))  # the other what that is worth
        expected = pick(network(state), pushed)
        loss = nn.huber(expected, (1 - DISCOUNT) + DISCOUNT * stood * worth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for p, q in zip(slow.parameters(), network.parameters()):
            p.data = 0.99 * p.data + 0.01 * q.data

    episodes = 30 if quick else 250
    for episode in range(episodes):
        state, length = start(rng), 0
        curious = max(0.02, 0.9 ** (episode / 4))  # the share of random pushes
        optimiser.lr = 2e-3 * (1 - 0.95 * episode / episodes)
        while stands(state) and length < LONGEST:
            right = rng.integers(2) if rng.random() < curious else best(values, state)
            after, length = push(state, right), length + 1
            memory.add(state, right, after, stands(after))
            state = after
            if memory.count >= 200:
                learn(*memory.sample(64, rng))
        lengths.append(length)
        if (episode + 1) % (episodes // 10) == 0:
            print(f"episode {episode + 1}: the last ten took {np.mean(lengths[-10:]):.0f} steps of {LONGEST}")

    draw(lengths, output / "cartpole.png")
    film(values, start(rng), output / "cartpole.webp")
    return {"last_20": float(np.mean(lengths[-20:])), "longest": max(lengths)}


def start(rng: np.random.Generator) -> Any:
    return rng.uniform(-0.05, 0.05, 4).astype(np.float32)


def best(values: Any, state: Any) -> int:
    return int(np.argmax(cr.data(values(state[None]))))


def pick(values: Any, pushed: Any) -> Any:
    """Of each row (N, 2) the value of the push that was taken."""
    return np.where(pushed == 1, values[:, 1], values[:, 0])


# ---------------------------------------------------------------- the pictures


def draw(lengths: list[int], path: pathlib.Path) -> None:
    """How long the pole stood in each episode."""
    from examples._pictures import BLUE, VERMILION, panels, save, smoothed, title

    figure, ((axes,),) = panels(1, 1, 7.0, 3.2)
    axes.plot(range(1, len(lengths) + 1), lengths, ".", color=BLUE, alpha=0.5, label="an episode")
    axes.plot(*smoothed(range(1, len(lengths) + 1), lengths, 15), color=VERMILION, label="mean of 15")
    axes.set(xlabel="episode", ylim=(0, LONGEST * 1.05))
    axes.legend(frameon=False, loc="lower right")
    title(axes, "steps until the pole falls, at most 200")
    save(figure, path)


def film(values: Any, state: Any, path: pathlib.Path) -> None:
    """An episode without random pushes, on the two and a half metres to either side that it has."""
    from matplotlib.patches import Rectangle

    from examples._pictures import BLUE, INK, VERMILION, frame, panels, save_film

    frames = []
    for k in range(LONGEST):
        if k % 4 == 0:
            figure, ((axes,),) = panels(1, 1, 4.8, 1.9)
            x, angle = state[0], state[2]
            axes.axhline(0, color=INK, linewidth=1)
            axes.add_patch(Rectangle((x - 0.25, 0), 0.5, 0.25, color=BLUE))
            axes.plot([x, x + np.sin(angle)], [0.25, 0.25 + np.cos(angle)], color=VERMILION, linewidth=5)
            axes.set(xlim=(-2.4, 2.4), ylim=(-0.1, 1.4), aspect="equal", title=f"{0.02 * k:.2f} s")
            axes.axis("off")
            frames.append(frame(figure))
        if not stands(state):
            break
        state = push(state, best(values, state))
    save_film(frames, path, seconds=len(frames) * 0.08)
