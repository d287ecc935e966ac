"""The documentation's exercises know the right answer, and know what is wrong with another one."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
from exercises import EXERCISES, Exercise

sys.path.pop(0)

MISTAKES = [(name, hint) for name, exercise in EXERCISES.items() for hint in exercise.mistakes]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_passes(name):
    exercise = EXERCISES[name]
    assert exercise.verdict(exercise.right) == "Right."


@pytest.mark.parametrize("name", EXERCISES)
def test_an_empty_cell_is_told_what_to_do(name):
    said = EXERCISES[name].verdict(lambda *_: None)
    assert "Put your answer in the place of the dots." in said.replace("\n", " ")


@pytest.mark.parametrize("name, hint", MISTAKES)
def test_a_frequent_mistake_gets_its_own_hint(name, hint):
    exercise = EXERCISES[name]
    said = exercise.verdict(exercise.mistakes[hint])
    assert said.startswith("Not yet: ")
    assert said.endswith(f".\n{hint}")


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda x: 1 / 0, "raises ZeroDivisionError: division by zero"),
        (lambda x: np.ones(3), "has the shape (3,), expected (2,)"),
        (lambda x: "two", "gives 'two', expected numbers"),
        (lambda x: 2 * x + 1e-3, "gives [2.001, 4.001], expected [2., 4.]"),
    ],
)
def test_any_other_answer_is_compared(answer, said):
    exercise = Exercise(lambda x: 2 * x, ((np.array([1.0, 2.0]),),))
    assert said in exercise.verdict(answer)


def test_an_answer_of_several_things_is_counted():
    exercise = Exercise(lambda x: (x, -x), ((1.0,),))
    assert "gives one thing, expected 2 things" in exercise.verdict(lambda x: x)
    assert "gives 2, expected -1 (number 2 of 2)" in exercise.verdict(lambda x: (x, 2 * x))
