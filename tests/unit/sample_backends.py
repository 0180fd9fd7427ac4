# ruff: noqa: ARG002, T201  samples have the protocol's signatures, and print as frameworks do
"""Implementations that behave in one way each, for the tests of the runner; a child process imports this file.

The layer of all of them returns its last inputs, which needs no arithmetic: ``units`` equals the input size.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from gruspec.backend import Capabilities, Differentiated, Output
from gruspec.errors import MissingDependency, NotStatefulError, SpecError, Unsupported

SAMPLE = 'a sample called "odd"'


class Echo:
    """The layer. ``behaviour`` misbehaves in cases whose first input element is 13."""

    def __init__(self, spec: Any, behaviour: Any) -> None:
        self.spec, self.behaviour = spec, behaviour

    def __call__(self, inputs: Any, *, mask: Any = None, initial_state: Any = None, **_: Any) -> Any:
        if initial_state is not None and initial_state.shape != (inputs.shape[0], self.spec.units):
            raise SpecError("initial_state: wrong shape")
        last = inputs[:, -1, :]
        if self.behaviour is not None and inputs.flat[0] == 13:
            return self.behaviour(last)
        return Output(last, last if self.spec.return_state else None)

    def reset_states(self, states: Any = None) -> None:
        raise NotStatefulError("reset_states: this layer keeps no state")


class Sample:
    """The backend."""

    def __init__(self, behaviour: Any = None, **declared: Any) -> None:
        self.behaviour, self.declared = behaviour, declared

    def capabilities(self) -> Capabilities:
        return Capabilities(**{"summary": SAMPLE} | self.declared)

    def versions(self) -> dict[str, str]:
        return {"sample": "1"}

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Echo:
        self.capabilities().require(spec, dtype=dtype, device=device)
        return Echo(spec, self.behaviour)


def leave(_: Any) -> None:
    print("about to leave", flush=True)
    os._exit(3)


def abort(_: Any) -> None:
    print("about to abort", file=sys.stderr, flush=True)
    os.abort()


def refuse(_: Any) -> None:
    raise Unsupported("thirteen")


def break_down(_: Any) -> None:
    raise RuntimeError("kernel not found")


def miss(_: Any) -> None:
    raise MissingDependency("needs libthirteen")


def quit_python(_: Any) -> None:
    raise SystemExit(4)


def garble() -> None:
    """Write to every pipe that a worker has, as a library might that prints to all of them."""
    for number in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(number, b"Epoch 1/13: loss nan")


def garble_and_wait(_: Any) -> None:
    garble()
    time.sleep(600)


def start_another(last: Any) -> Output:
    """Leave a process behind that holds the file named by the environment open."""
    with Path(os.environ["SAMPLE_HELD"]).open("w", encoding="utf-8") as held:
        held.write("held")
        held.flush()
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=held)
    return Output(last, last)


def start_another_and_wait(last: Any) -> None:
    start_another(last)
    time.sleep(600)


def reuse(last: Any, *, kept: dict[str, Any] = {}) -> Output:  # noqa: B006  kept from call to call
    buffer = kept.setdefault(last.dtype.name, last.copy())
    buffer[...] = last
    return Output(buffer, buffer)


def die_at_once() -> Sample:
    os._exit(7)


def unloadable() -> Sample:
    raise ImportError("no module named thirteen")


class Unlisted(Sample):
    """Accepts what it does not declare."""

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Echo:
        return Echo(spec, self.behaviour)


class Careless(Sample):
    """Accepts states of any shape."""

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Any:
        return lambda inputs, **_: Output(inputs[:, -1, :])


class Early(Sample):
    """Refuses every layer, not with the class that is asked for."""

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Any:
        raise RuntimeError("this graph has no shape")


class Versionless(Sample):
    def versions(self) -> dict[str, str]:
        raise RuntimeError("which version?")


def echo() -> Sample:
    return Sample()


def native() -> Sample:
    return Sample(kind="native", mask="none")


def leaving() -> Sample:
    return Sample(leave)


def aborting() -> Sample:
    return Sample(abort)


def quitting() -> Sample:
    return Sample(quit_python)


def hanging() -> Sample:
    return Sample(lambda _: time.sleep(600))


def refusing() -> Sample:
    return Sample(refuse)


def native_refusing() -> Sample:
    return Sample(refuse, kind="native")


def raising() -> Sample:
    return Sample(break_down)


def missing_inside() -> Sample:
    return Sample(miss)


def not_installed() -> Sample:
    return Sample(modules=("no_such_framework",), extra="nothing")


def wrong() -> Sample:
    return Sample(lambda last: Output(last + 1, last))


def slightly_off() -> Sample:
    return Sample(lambda last: Output(np.nextafter(last, np.inf), last))


def stateless() -> Sample:
    return Sample(Output)


def wrong_dtype() -> Sample:
    return Sample(lambda last: Output(last.astype(np.float16), last))


def listing() -> Sample:
    return Sample(lambda last: Output(last.tolist(), last))


def bare() -> Sample:
    return Sample(lambda last: last)


def narrow_but_wrong() -> Unlisted:
    return Unlisted(lambda last: Output(last + 1, last), kind="native", activations=("sigmoid",))


def narrow_but_right() -> Unlisted:
    return Unlisted(kind="native", activations=("sigmoid",))


def narrow_and_raising() -> Unlisted:
    return Unlisted(break_down, kind="native", activations=("sigmoid",))


def careless() -> Careless:
    return Careless(kind="native")


def early() -> Early:
    return Early(kind="native")


def early_complete() -> Early:
    return Early()


def flushing() -> Sample:
    return Sample(subnormals="flush")


def halves() -> Sample:
    return Sample(dtypes=("float32", "float64", "float16", "bfloat16"))


def noisy() -> Sample:
    print("x" * 100_000, flush=True)
    return Sample()


def versionless() -> Versionless:
    return Versionless()


def half_only() -> Sample:
    return Sample(kind="native", dtypes=("float16",))


def garbling_at_once() -> Sample:
    garble()
    time.sleep(600)
    return Sample()


def garbling() -> Sample:
    return Sample(garble_and_wait)


def leaving_another() -> Sample:
    return Sample(start_another)


def leaving_another_and_hanging() -> Sample:
    return Sample(start_another_and_wait)


def reusing() -> Sample:
    return Sample(reuse)


class Undeclared(Sample):
    """Cannot say what it can do."""

    def capabilities(self) -> Capabilities:
        raise RuntimeError("what can I do?")


class Misdeclared(Sample):
    """Says it in its own words."""

    def capabilities(self) -> Any:
        return {"summary": "everything"}


def undeclared() -> Undeclared:
    return Undeclared()


def misdeclared() -> Misdeclared:
    return Misdeclared()


def impossible() -> Sample:
    return Sample(mask="ragged")


def deep() -> Sample:
    return Sample(modules=("nomod.sub",))


def smiling() -> Sample:
    return Sample(smile)


def smile(_: Any) -> None:
    raise RuntimeError(":smile: [bold]é")


class Choosing(Echo):
    """A layer that says which code path each call took."""

    path: str | None = None

    def __call__(self, inputs: Any, **rest: Any) -> Any:
        self.path = "long" if inputs.shape[1] > 1 else "short"
        return super().__call__(inputs, **rest)


class ChoosingSample(Sample):
    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Echo:
        return Choosing(spec, self.behaviour)


def choosing() -> ChoosingSample:
    return ChoosingSample()


class Learning(Echo):
    """Passes cotangents on to its last inputs; ``lesson`` spoils what it answers."""

    def vjp(self, inputs: Any, *, cotangents: Any, **call: Any) -> Any:
        output = self(inputs, **call)
        gradients = {"inputs": np.zeros_like(inputs)}
        gradients["inputs"][:, -1] = cotangents["outputs"] + cotangents.get("state", 0)
        for name in ("kernel", "recurrent_kernel"):
            gradients[name] = np.zeros((self.spec.units, 3 * self.spec.units), inputs.dtype)
        return self.behaviour(output, gradients) if self.behaviour else Differentiated(output, gradients)


class LearningSample(Sample):
    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> Learning:
        return Learning(spec, self.behaviour)


def learning() -> LearningSample:
    return LearningSample()


def learning_wrongly() -> LearningSample:
    return LearningSample(lambda output, found: Differentiated(output, found | {"inputs": 2 * found["inputs"]}))


def learning_incompletely() -> LearningSample:
    return LearningSample(lambda output, found: Differentiated(output, {"inputs": found["inputs"]}))


def learning_too_precisely() -> LearningSample:
    return LearningSample(lambda output, found: Differentiated(output, found | {"kernel": found["kernel"].tolist()}))


def learning_nonsense() -> LearningSample:
    return LearningSample(
        lambda output, found: Differentiated(output, found | {"initial_state": found["inputs"][:, 0]})
    )


def learning_nothing() -> LearningSample:
    return LearningSample(lambda *_: None)


def learning_without_names() -> LearningSample:
    return LearningSample(lambda output, found: Differentiated(output, list(found.values())))  # type: ignore[arg-type]


def native_without_gradients() -> Sample:
    return Sample(kind="native")


def native_honest_about_gradients() -> Sample:
    return Sample(kind="native", gradients=False)


class Penalized(Echo):
    """Has one loss: the sum of the outputs of its latest call."""

    losses: Any = None

    def __call__(self, inputs: Any, **call: Any) -> Any:
        output = super().__call__(inputs, **call)
        self.losses = output.outputs.sum().reshape(1)
        return output


class PenalizedSample(Sample):
    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str, settings: Any = None) -> Penalized:
        assert settings is None or settings.activity_regularizer["class_name"] == "L1L2"
        return Penalized(spec, None)


class OddlyPenalizedSample(Sample):
    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str, settings: Any = None) -> Echo:
        layer = Echo(spec, None)
        layer.losses = ["much"]  # type: ignore[attr-defined]
        return layer


def penalized_oddly() -> OddlyPenalizedSample:
    return OddlyPenalizedSample(losses=True)


def not_penalized() -> OddlyPenalizedSample:
    sample = OddlyPenalizedSample(losses=True)
    sample.prepare = lambda spec, *_, **__: Echo(spec, None)  # type: ignore[method-assign]
    return sample


def penalized() -> PenalizedSample:
    return PenalizedSample(losses=True)
