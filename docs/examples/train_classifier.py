#!/usr/bin/env python3
"""Train a GRU to tell three sources of symbols apart, with NumPy alone.

Every source walks on a circle of three symbols. One mostly goes clockwise, one mostly the other way, one goes anywhere.
All of them visit all symbols equally often, so that only their order tells which source it was. ``docs/training.md``
explains the parts.

B is the batch size, T the number of timesteps of the longest sequence, D = 3 the number of symbols.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from gruspec_numpy import GRU
from gruspec_numpy.constraints import MaxNorm
from gruspec_numpy.initializers import GlorotUniform, Orthogonal
from gruspec_numpy.regularizers import L1, L2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

SYMBOLS = 3
CLOCKWISE = np.array([[0.125, 0.75, 0.125], [0.125, 0.125, 0.75], [0.75, 0.125, 0.125]])
SOURCES = np.stack([CLOCKWISE, CLOCKWISE.T, np.full((SYMBOLS, SYMBOLS), 1 / 3)])
"""The probability of each next symbol, given the source and the symbol before it."""

SHORTEST, LONGEST = 8, 16
BATCH_SIZE = 64
STEPS = 400

UNITS = 12
SETTINGS: dict[str, Any] = {
    "units": UNITS,
    "kernel_initializer": GlorotUniform(seed=1),
    "recurrent_initializer": Orthogonal(seed=2),
    "kernel_regularizer": L2(2**-10),
    "recurrent_regularizer": L1(2**-12),
    "activity_regularizer": L2(2**-10),
    "kernel_constraint": MaxNorm(1.5),
    "recurrent_constraint": MaxNorm(0.75),
    "bias_constraint": MaxNorm(0.5),
    "dropout": 0.125,
    "recurrent_dropout": 0.125,
    "dtype": "float64",
}
LEARNING_RATE = 0.25
MOMENTUM = 0.875


class Batch(NamedTuple):
    """Sequences: ``inputs`` (B, T, D) with one 1 for each symbol, ``mask`` (B, T), the source of each, ``labels`` (B,).

    A sequence that is shorter than T is padded with zeros, and the mask is False there.
    """

    inputs: Array
    mask: Array
    labels: Array


class Lesson(NamedTuple):
    """What one step learns from: a batch, and the dropout masks for it."""

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


def draw_dropout_masks(random: np.random.Generator, size: int) -> dict[str, Array]:
    """Draw masks for the gates z, r, h: ``inputs`` (3, B, D) and ``recurrent`` (3, B, u), scaled by what they keep."""
    kinds = {"inputs": ("dropout", SYMBOLS), "recurrent": ("recurrent_dropout", UNITS)}
    return {
        kind: (random.random((3, size, width)) >= SETTINGS[rate]) / (1 - SETTINGS[rate])
        for kind, (rate, width) in kinds.items()
    }


def draw_lessons(random: np.random.Generator, steps: int) -> list[Lesson]:
    """Draw what a training run of this many steps learns from."""
    return [Lesson(draw_batch(random, BATCH_SIZE), draw_dropout_masks(random, BATCH_SIZE)) for _ in range(steps)]


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
        call: dict[str, Any] = {"mask": mask, "training": True, "dropout_masks": dropout_masks}
        features = self.layer(inputs, **call)
        loss, by_logits = cross_entropy(features @ self.kernel + self.bias, labels)
        cotangents = {"outputs": by_logits @ self.kernel.T}
        _, by_name = self.layer.vjp(inputs, **call, cotangents=cotangents, losses=True)
        recurrent = [by_name[name] for name in ("kernel", "recurrent_kernel", "bias")]
        return float(loss + sum(self.layer.losses)), [*recurrent, features.T @ by_logits, by_logits.sum(axis=0)]


class Momentum:
    """Gradient descent with momentum: every weight has a velocity, which decays and which its gradient changes."""

    def __init__(self, learning_rate: float = LEARNING_RATE, momentum: float = MOMENTUM) -> None:
        self.learning_rate, self.momentum = learning_rate, momentum
        self.velocities: list[Any] = []

    def updated(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """Return the weights after a step."""
        before = self.velocities or [0.0] * len(weights)
        pairs = zip(before, gradients, strict=True)
        self.velocities = [self.momentum * velocity - self.learning_rate * gradient for velocity, gradient in pairs]
        return [weight + velocity for weight, velocity in zip(weights, self.velocities, strict=True)]


def train_step(classifier: Classifier, optimizer: Momentum, lesson: Lesson) -> float:
    """Learn from one lesson and return the loss before it."""
    loss, gradients = classifier.loss_and_gradients(lesson)
    classifier.set_weights(optimizer.updated(classifier.get_weights(), gradients))
    classifier.layer.apply_constraints()
    return loss


def train(classifier: Classifier, optimizer: Momentum, lessons: Iterable[Lesson]) -> list[float]:
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
    classifier, lessons, unseen = Classifier(), draw_lessons(random, STEPS), draw_batch(random, 2000)
    sys.stdout.write(f"untrained: accuracy {classifier.accuracy(unseen):.3f}\n")
    losses = train(classifier, Momentum(), lessons)
    for start in range(0, STEPS, 50):
        sys.stdout.write(f"steps {start:3} to {start + 49:3}: mean loss {np.mean(losses[start : start + 50]):.3f}\n")
    sys.stdout.write(f"trained: accuracy {classifier.accuracy(unseen):.3f}\n")
    sys.stdout.write(f"best possible: accuracy {best_accuracy(unseen):.3f}\n")


if __name__ == "__main__":
    main()
