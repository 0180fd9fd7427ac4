#!/usr/bin/env python3
"""Train a GRU to tell three sources of symbols apart, with NumPy alone.

Every source walks on a circle of three symbols. One mostly goes clockwise, one mostly the other way, one goes anywhere.
All of them visit all symbols equally often, so that only their order tells which source it was. ``docs/training.md``
explains the parts.

B is the batch size, T the number of timesteps of the longest sequence, D = 3 the number of symbols, u the number of
units.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from gruspec.spec import Dimensions, acting_dropout
from gruspec_numpy import GRU
from gruspec_numpy.constraints import MaxNorm
from gruspec_numpy.dropout import draw_masks
from gruspec_numpy.initializers import GlorotUniform, Orthogonal
from gruspec_numpy.regularizers import L1, L2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    Array: TypeAlias = NDArray[Any]

SYMBOLS = 3
CLOCKWISE = np.array([[0.125, 0.75, 0.125], [0.125, 0.125, 0.75], [0.75, 0.125, 0.125]])
SOURCES = np.stack([CLOCKWISE, CLOCKWISE.T, np.full((SYMBOLS, SYMBOLS), 1 / 3)])
"""The probability of each next symbol, given the source and the symbol before it."""

SHORTEST, LONGEST = 8, 16
BATCH_SIZE = 64
STEPS = 200

UNITS = 16
SETTINGS: dict[str, Any] = {
    "units": UNITS,
    "kernel_initializer": GlorotUniform(seed=1),
    "recurrent_initializer": Orthogonal(seed=2),
    "kernel_regularizer": L2(2**-14),
    "recurrent_regularizer": L1(2**-16),
    "bias_regularizer": L2(2**-14),
    "activity_regularizer": L2(2**-14),
    "kernel_constraint": MaxNorm(1.5),
    "recurrent_constraint": MaxNorm(1.5),
    "bias_constraint": MaxNorm(1.0),
    "dropout": 0.125,
    "recurrent_dropout": 0.125,
    "dtype": "float64",
}
"""Factors are powers of two: tf_keras rounds those of regularizers, and the rates of optimizers, to float32."""


class Batch(NamedTuple):
    """Sequences: ``inputs`` (B, T, D) with one 1 for each symbol, ``mask`` (B, T), the source of each, ``labels`` (B,).

    A sequence that is shorter than T is padded with zeros, and the mask is False there.
    """

    inputs: Array
    mask: Array
    labels: Array


class Lesson(NamedTuple):
    """What one step learns from: a batch, and the dropout masks for it, scaled by what they keep.

    ``dropout_masks`` has ``inputs`` (3, B, D) and ``recurrent`` (3, B, u), for the gates z, r, h.
    """

    batch: Batch
    dropout_masks: dict[str, Array]


def draw_batch(random: np.random.Generator, size: int) -> Batch:
    """Draw sources, lengths, and as many symbols from each source."""
    labels = random.integers(len(SOURCES), size=size)
    lengths = random.integers(SHORTEST, LONGEST, size=size, endpoint=True)
    symbols = np.empty((size, LONGEST), int)
    symbols[:, 0] = random.integers(SYMBOLS, size=size)
    for t in range(1, LONGEST):
        thresholds = SOURCES[labels, symbols[:, t - 1]].cumsum(axis=1)[:, :-1]
        symbols[:, t] = (random.random((size, 1)) > thresholds).sum(axis=1)
    mask = np.arange(LONGEST) < lengths[:, None]
    return Batch(np.eye(SYMBOLS)[symbols] * mask[:, :, None], mask, labels)


def draw_lessons(random: np.random.Generator, spec: GRUSpec, steps: int) -> list[Lesson]:
    """Draw what a layer learns from in this many steps, with the dropout masks that act in it."""
    sizes = Dimensions(batch=BATCH_SIZE, timesteps=LONGEST, input_size=SYMBOLS, units=spec.units)
    kinds = acting_dropout(spec, training=True)
    return [
        Lesson(draw_batch(random, BATCH_SIZE), draw_masks(spec, kinds, random, sizes=sizes, dtype="float64"))
        for _ in range(steps)
    ]


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Return the mean cross-entropy of softmax(logits) (B, sources), and its derivative by the logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    targets = np.eye(len(SOURCES))[labels]
    return -(targets * log_probabilities).sum(axis=1).mean(), (np.exp(log_probabilities) - targets) / len(labels)


class Classifier:
    """A GRU layer and a dense one, which makes logits of the last output."""

    def __init__(self) -> None:
        self.layer = GRU(**SETTINGS)
        self.layer.build((None, None, SYMBOLS))
        self.kernel = GlorotUniform(seed=3)((UNITS, len(SOURCES)), "float64")
        self.bias = np.zeros(len(SOURCES))

    def get_weights(self) -> list[Array]:
        """Return kernel, recurrent kernel and bias of the GRU, kernel and bias of the dense layer."""
        return [*self.layer.get_weights(), self.kernel, self.bias]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Take weights in the same order."""
        *recurrent, self.kernel, self.bias = weights
        self.layer.set_weights(recurrent)

    def accuracy(self, batch: Batch) -> float:
        """Return the share of sequences that are recognised, without dropout."""
        logits = self.layer(batch.inputs, mask=batch.mask) @ self.kernel + self.bias
        return float((logits.argmax(axis=1) == batch.labels).mean())

    def loss_and_gradients(self, lesson: Lesson) -> tuple[float, list[Array]]:
        """Return the loss in training, regularization included, and its gradients in the order of the weights."""
        (inputs, mask, labels), dropout_masks = lesson
        head: dict[str, Any] = {}

        def cotangents(features: Array) -> dict[str, Array]:
            head["loss"], by_logits = cross_entropy(features @ self.kernel + self.bias, labels)
            head["gradients"] = [features.T @ by_logits, by_logits.sum(axis=0)]
            return {"outputs": by_logits @ self.kernel.T}

        _, by_name = self.layer.vjp(
            inputs, mask=mask, training=True, dropout_masks=dropout_masks, cotangents=cotangents, losses=True
        )
        recurrent = [by_name[name] for name in ("kernel", "recurrent_kernel", "bias")]
        return float(head["loss"] + sum(self.layer.losses)), [*recurrent, *head["gradients"]]


class Adam:
    """Gradient descent by running means of each weight's gradient and of its square, as Keras computes it.

    Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, the form before section 2.1.
    """

    def __init__(
        self, learning_rate: float = 2**-4, beta_1: float = 0.875, beta_2: float = 1 - 2**-10, epsilon: float = 1e-7
    ) -> None:
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.means: list[Any] = []
        self.squares: list[Any] = []
        self.steps = 0

    def updated(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Return the weights after a step."""
        self.steps += 1
        self.means = _moved(self.means, gradients, 1 - self.beta_1)
        self.squares = _moved(self.squares, [np.square(gradient) for gradient in gradients], 1 - self.beta_2)
        rate = self.learning_rate * math.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)
        moments = zip(weights, self.means, self.squares, strict=True)
        return [weight - rate * mean / (np.sqrt(square) + self.epsilon) for weight, mean, square in moments]


def _moved(means: Sequence[Any], values: Sequence[Array], share: float) -> list[Array]:
    """Return running means, zeros at first, moved towards values by a share of the way."""
    return [mean + share * (value - mean) for mean, value in zip(means or [0.0] * len(values), values, strict=True)]


def train_step(classifier: Classifier, optimizer: Adam, lesson: Lesson) -> float:
    """Learn from one lesson and return the loss before it."""
    loss, gradients = classifier.loss_and_gradients(lesson)
    classifier.set_weights(optimizer.updated(classifier.get_weights(), gradients))
    classifier.layer.apply_constraints()
    return loss


def train(classifier: Classifier, optimizer: Adam, lessons: Iterable[Lesson]) -> list[float]:
    """Learn from all lessons and return the loss at each."""
    return [train_step(classifier, optimizer, lesson) for lesson in lessons]


def best_accuracy(batch: Batch) -> float:
    """Return the accuracy of whoever knows the sources: the choice of the most probable one."""
    symbols, pairs = batch.inputs.argmax(axis=2), batch.mask[:, 1:]
    logarithms = np.log(SOURCES[:, symbols[:, :-1], symbols[:, 1:]])
    return float(((logarithms * pairs).sum(axis=2).argmax(axis=0) == batch.labels).mean())


def main() -> None:
    """Train, and print the loss on the way and the accuracy on sequences that were not seen."""
    random = np.random.default_rng(0)
    classifier = Classifier()
    lessons, unseen = draw_lessons(random, classifier.layer.spec, STEPS), draw_batch(random, 2000)
    sys.stdout.write(f"untrained: accuracy {classifier.accuracy(unseen):.3f}\n")
    losses = train(classifier, Adam(), lessons)
    for start in range(0, STEPS, 50):
        sys.stdout.write(f"steps {start:3} to {start + 49:3}: mean loss {np.mean(losses[start : start + 50]):.3f}\n")
    sys.stdout.write(f"trained: accuracy {classifier.accuracy(unseen):.3f}\n")
    sys.stdout.write(f"best possible: accuracy {best_accuracy(unseen):.3f}\n")


if __name__ == "__main__":
    main()
