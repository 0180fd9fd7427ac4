"""The training example learns, follows the reference layer step by step, and its page is true."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "training.md"
SCRIPT = DOCS / "examples" / "train_classifier.py"

FOLLOWED_STEPS = 50
AGREEMENT = 1e-9


class Run(NamedTuple):
    """The loss at each step, and the weights after the last."""

    losses: Sequence[float]
    weights: Sequence[NDArray[np.float64]]


def load_script() -> Any:
    spec = spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example() -> Any:
    """Return the script as a module of its own, which a test may change."""
    return load_script()


def followed_lessons(example: Any) -> list[Any]:
    lessons: list[Any] = example.draw_lessons(np.random.default_rng(1), example.Classifier().layer.spec, FOLLOWED_STEPS)
    return lessons


def run(example: Any, lessons: Sequence[Any]) -> Run:
    classifier = example.Classifier()
    return Run(example.train(classifier, example.Adam(), lessons), classifier.get_weights())


@pytest.fixture(scope="module")
def real_run() -> Run:
    """Train a model of tf_keras, with the reference layer in it, from the same weights by the same lessons."""
    tf_keras = pytest.importorskip("tf_keras")
    tf = pytest.importorskip("tensorflow")
    injected = import_module("gruspec_tensorflow.dropout").injected
    example = load_script()
    classifier, adam = example.Classifier(), example.Adam()
    layer = import_module("gruspec_tensorflow.adapter").V1.resolve().from_config(classifier.layer.get_config())
    model = tf_keras.Sequential(
        [
            tf_keras.Input((None, example.SYMBOLS), dtype="float64"),
            tf_keras.layers.Masking(dtype="float64"),
            layer,
            tf_keras.layers.Dense(len(example.SOURCES), dtype="float64"),
        ]
    )
    model.set_weights(classifier.get_weights())
    optimizer = tf_keras.optimizers.legacy.Adam(adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon)
    cross_entropy = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(lesson: Any) -> float:
        with injected(layer, lesson.dropout_masks, shared=False), tf.GradientTape() as tape:
            logits = model(lesson.batch.inputs, training=True)
            loss = tf.add_n([cross_entropy(lesson.batch.labels, logits), *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return float(loss)

    return Run([step(lesson) for lesson in followed_lessons(example)], model.get_weights())


def worst_difference(found: Run, expected: Run) -> float:
    """Return the largest difference of a loss, or of a weight, relative to it."""
    pairs = zip([np.array(found.losses), *found.weights], [np.array(expected.losses), *expected.weights], strict=True)
    return max(float((np.abs(one - other) / np.abs(other)).max()) for one, other in pairs)


def test_every_step_follows_the_reference_layer(example: Any, real_run: Run) -> None:
    assert len(real_run.losses) == FOLLOWED_STEPS
    assert worst_difference(run(example, followed_lessons(example)), real_run) < AGREEMENT


@pytest.mark.parametrize("step", [0, FOLLOWED_STEPS - 1])
def test_a_difference_at_one_step_is_found(real_run: Run, step: int) -> None:
    losses = [*real_run.losses]
    losses[step] *= 1 + 2 * AGREEMENT
    assert worst_difference(real_run._replace(losses=losses), real_run) > AGREEMENT


@pytest.mark.parametrize("index", range(5))
def test_a_difference_in_one_weight_is_found(real_run: Run, index: int) -> None:
    weights = [weight.copy() for weight in real_run.weights]
    weights[index].flat[-1] *= 1 + 2 * AGREEMENT
    assert worst_difference(real_run._replace(weights=weights), real_run) > AGREEMENT


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *((f"{kind}_regularizer", None) for kind in ("kernel", "recurrent", "bias", "activity")),
        *((f"{kind}_constraint", None) for kind in ("kernel", "recurrent", "bias")),
        ("dropout", 0.0),
        ("recurrent_dropout", 0.0),
    ],
)
def test_an_argument_left_out_is_found(example: Any, real_run: Run, argument: str, value: Any) -> None:
    assert example.SETTINGS[argument] != value
    lessons = followed_lessons(example)
    example.SETTINGS[argument] = value
    assert worst_difference(run(example, lessons), real_run) > AGREEMENT


def constrain_before_the_update(example: Any) -> None:
    def train_step(classifier: Any, optimizer: Any, lesson: Any) -> Any:
        loss, gradients = classifier.loss_and_gradients(lesson)
        classifier.layer.apply_constraints()
        classifier.set_weights(optimizer.updated(classifier.get_weights(), gradients))
        return loss

    example.train_step = train_step


def differentiate_without_losses(example: Any) -> None:
    class Layer(example.GRU):  # type: ignore[misc] # the script is not imported by name
        def vjp(self, *arguments: Any, **named: Any) -> Any:
            return super().vjp(*arguments, **named | {"losses": False})

    example.GRU = Layer


def forget_momentum(example: Any) -> None:
    adam = example.Adam
    example.Adam = lambda: adam(beta_1=0.0)


def forget_the_bias_correction(example: Any) -> None:
    class Adam(example.Adam):  # type: ignore[misc] # the script is not imported by name
        def updated(self, *arguments: Any) -> Any:
            self.steps = 1000
            return super().updated(*arguments)

    example.Adam = Adam


@pytest.mark.parametrize(
    "plant",
    [constrain_before_the_update, differentiate_without_losses, forget_momentum, forget_the_bias_correction],
)
def test_a_faulty_step_is_found(example: Any, real_run: Run, plant: Callable[[Any], None]) -> None:
    plant(example)
    assert worst_difference(run(example, followed_lessons(example)), real_run) > AGREEMENT


def with_masks_of_other_gates(kind: str) -> Callable[[Any], Any]:
    def changed(lesson: Any) -> Any:
        masks = lesson.dropout_masks
        return lesson._replace(dropout_masks=masks | {kind: np.roll(masks[kind], 1, axis=0)})

    return changed


def without_padding_mask(lesson: Any) -> Any:
    return lesson._replace(batch=lesson.batch._replace(mask=np.ones_like(lesson.batch.mask)))


@pytest.mark.parametrize(
    "changed",
    [with_masks_of_other_gates("inputs"), with_masks_of_other_gates("recurrent"), without_padding_mask],
    ids=["input masks of other gates", "recurrent masks of other gates", "no padding mask"],
)
def test_other_masks_are_found(example: Any, real_run: Run, changed: Callable[[Any], Any]) -> None:
    lessons = [changed(lesson) for lesson in followed_lessons(example)]
    assert worst_difference(run(example, lessons), real_run) > AGREEMENT


def learn(example: Any, lessons: Sequence[Any], unseen: Any) -> tuple[list[float], float]:
    """Return the losses and the accuracy on sequences that were not learnt from."""
    classifier = example.Classifier()
    losses = example.train(classifier, example.Adam(), lessons)
    return losses, classifier.accuracy(unseen)


def test_the_example_learns(example: Any) -> None:
    random = np.random.default_rng(2)
    unseen = example.draw_batch(random, 2000)
    losses, accuracy = learn(
        example, example.draw_lessons(random, example.Classifier().layer.spec, example.STEPS), unseen
    )
    assert np.mean(losses[-20:]) < 0.5 * losses[0]
    assert accuracy > 0.85
    assert accuracy > example.best_accuracy(unseen) - 0.05


def test_symbols_without_their_order_teach_nothing(example: Any) -> None:
    random = np.random.default_rng(2)

    def shuffled(batch: Any) -> Any:
        order = np.where(batch.mask, random.random(batch.mask.shape), 1).argsort(axis=1)
        return batch._replace(inputs=np.take_along_axis(batch.inputs, order[:, :, None], axis=1))

    unseen = shuffled(example.draw_batch(random, 2000))
    lessons = example.draw_lessons(random, example.Classifier().layer.spec, example.STEPS)
    losses, accuracy = learn(example, [lesson._replace(batch=shuffled(lesson.batch)) for lesson in lessons], unseen)
    assert np.mean(losses[-20:]) > 0.9 * losses[0]
    assert accuracy < 0.45


def test_examples_of_the_page_hold() -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=options)
    assert found.attempted > 5
    assert found.failed == 0, "see the captured output"


def test_page_shows_what_the_script_prints(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == shown


def test_clauses_cited_by_the_page_exist() -> None:
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    cited = set(re.findall(r"\[([a-z][a-z-]*)\](?!\()", prose))
    assert cited
    assert cited <= set(CLAUSES)
