"""Accuracy: each form of scores and labels, and what fits none."""

import numpy as np
import pytest

from chainrule import Value, train

BINARY = [[1, 0], [1, -1], [True, False], [1.0, 0.0], np.array([1, 0], np.uint8), [1.0, -1.0]]


@pytest.mark.parametrize("labels", BINARY, ids=str)
def test_of_two_classes_the_sign_says_which(labels):
    labels, scores = np.asarray(labels), np.array([2.0, -3.0])
    for s, y in ((scores, labels), (scores[:, None], labels), (scores[:, None], labels[:, None])):
        assert train.accuracy(s, y) == train.accuracy(Value(s), y) == 1.0
        assert train.accuracy(-s, y) == 0.0


def test_of_several_classes_the_highest_score_counts():
    scores = np.eye(3)[[0, 2, 1, 1]]
    assert train.accuracy(scores, [0, 2, 1, 0]) == 0.75
    assert train.accuracy(scores[:, :2], [True, False, True, False]) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([2.0, -3.0], [1, 2], "labels hold 2; expected 0 and 1"),
        ([2.0, -3.0, 1.0], [1, 0, -1], "labels hold -1, 0 and 1; expected 0 and 1"),
        ([[2.0], [3.0]], [0.5, 1.0], "labels hold 0.5"),
        (np.eye(3), [0, 1, 3], "labels hold 3; expected 0 to 2"),
        (np.eye(3), [0, 1, -1], "labels hold -1; expected 0 to 2"),
        (np.eye(3)[0], [[0], [1], [1]], r"scores are \(3,\), labels are \(3, 1\)"),
    ],
    ids=str,
)
def test_labels_of_neither_form_are_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        train.accuracy(scores, labels)
