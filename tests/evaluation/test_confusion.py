"""The confusion matrix and the four numbers of segmentation."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from tfssl.evaluation.dense.confusion import Confusion


def filled(counts):
    confusion = Confusion(len(counts))
    confusion.counts += np.array(counts)
    return confusion


def test_worked_example_of_two_classes():
    numbers = filled([[3, 1], [1, 5]]).metrics()
    assert numbers["pixel_accuracy"] == pytest.approx(0.8)
    assert numbers["mean_accuracy"] == pytest.approx(0.7916667, abs=1e-7)
    assert numbers["mean_iou"] == pytest.approx(0.6571429, abs=1e-7)
    assert numbers["frequency_weighted_iou"] == pytest.approx(0.6685714, abs=1e-7)
    np.testing.assert_allclose(filled([[3, 1], [1, 5]]).intersection_over_union(), [0.6, 0.7142857], atol=1e-7)


def loop(truths, answers, classes):
    """IoU of each class, pixel by pixel."""
    both, either = np.zeros(classes), np.zeros(classes)
    for truth, answer in zip(truths, answers, strict=True):
        for t, a in zip(truth.ravel(), answer.ravel(), strict=True):
            if t == 255:
                continue
            for k in range(classes):
                both[k] += t == k and a == k
                either[k] += k in (t, a)
    return both / either


def test_streamed_counts_equal_scikit_learn_and_iou_a_plain_loop():
    random, confusion = np.random.default_rng(0), Confusion(4)
    truths = [
        random.choice([0, 1, 2, 3, 255], size, p=[0.4, 0.3, 0.15, 0.05, 0.1]) for size in ((9, 7), (5, 8), (6, 6))
    ]
    answers = [np.where(random.random(t.shape) < 0.6, t % 255, random.integers(0, 4, t.shape)) for t in truths]
    for truth, answer in zip(truths, answers, strict=True):
        confusion.add(truth, answer)
    truth, answer = (np.concatenate([x.ravel() for x in arrays]) for arrays in (truths, answers))
    known = truth != 255
    np.testing.assert_array_equal(confusion.counts, confusion_matrix(truth[known], answer[known], labels=range(4)))
    wanted = loop(truths, answers, 4)
    np.testing.assert_allclose(confusion.intersection_over_union(), wanted, rtol=1e-12)
    numbers = confusion.metrics()
    assert numbers["mean_iou"] == pytest.approx(wanted.mean())
    shares = np.bincount(truth[known], minlength=4) / known.sum()
    assert numbers["frequency_weighted_iou"] == pytest.approx(float(shares @ wanted))
    assert numbers["pixel_accuracy"] == pytest.approx(np.mean(truth[known] == answer[known]))


def test_what_is_ignored_changes_nothing():
    truth, answer = np.array([[0, 1], [1, 255]]), np.array([[0, 1], [0, 1]])
    some, all_of_it = Confusion(2), Confusion(2)
    some.add(truth[truth != 255], answer[truth != 255])
    all_of_it.add(truth, answer)
    np.testing.assert_array_equal(some.counts, all_of_it.counts)


def test_a_class_that_does_not_occur_has_no_part_in_the_means_but_its_answers_are_mistakes():
    confusion = filled([[4, 0, 0], [0, 3, 1], [0, 0, 0]])
    assert np.isnan(confusion.intersection_over_union()[2]) and np.isnan(confusion.accuracies()[2])
    numbers = confusion.metrics()
    assert numbers["mean_iou"] == pytest.approx((1.0 + 0.75) / 2)
    assert numbers["mean_accuracy"] == pytest.approx((1.0 + 0.75) / 2)


def test_nothing_counted_is_nan():
    assert all(np.isnan(value) for value in Confusion(3).metrics().values())
