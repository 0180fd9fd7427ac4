"""Everything that can be run on this project, each in an environment of its own.

``nox -s parity`` judges every framework; ``nox -s tests lint typing`` is what CI runs; ``nox -l`` lists the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "typing"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
FRAMEWORKS = {
    "numpy": [],
    "tensorflow": ["tensorflow"],
    "torch": ["torch"],
    "jax": ["jax"],
    "onnx": ["onnx"],
}
"""Extras that each adapter's tests need."""

_FRIENDS = ["flax", "optax", "dm-haiku", "equinox", "openvino", "mlx[cpu]", "onednn-cpu-gomp"]
_OLD = ["numpy==1.23.5", "ml_dtypes==0.5.4", "einops", "safetensors", "click", "rich", "python-flint"]
WEIGHTS = {
    "together": ["-e", ".[reference,files,orbax,tensorflow,torch,jax,onnx]", *_FRIENDS],
    "keras": ["-e", ".[reference,files,jax,onnx]", "keras"],
    "paddle": ["-e", ".[reference,files,torch,onnx]", "paddlepaddle"],
    "mxnet": ["mxnet", "torch==2.13.0", *_OLD],
}
"""What the frameworks need whose layouts are checked, by those that can live in one environment.

Paddle has a oneDNN of its own; Keras 3 is looked at only where legacy Keras is not; MXNet needs an older NumPy than
gruspec declares, with which layouts and certification work as well.
"""


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return [str(requirement) for requirement in nox.project.dependency_groups(PYPROJECT, name)]


def install(session: nox.Session, *requirements: str) -> None:
    """Install under the constraints."""
    session.install("-c", "constraints.txt", *requirements)


@nox.session
def parity(session: nox.Session) -> None:
    """Judge every implementation by the golden data, then compare all pairs. Arguments go to both commands."""
    install(session, "-e", ".[all]")
    session.run("gruspec", "check", *session.posargs)
    session.run("gruspec", "parity", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, with every framework, in two processes. Arguments go to pytest; ``-n 0`` is one process."""
    install(session, "-e", ".[all]", *group("test"))
    session.run("pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and who imports whom."""
    install(session, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": "backends"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check types."""
    install(session, "-e", ".", *group("typing"))
    session.run("mypy", "gruspec", "backends", "tests", "benchmarks", "docs/examples", "noxfile.py", "hatch_build.py")


@nox.session
@nox.parametrize("name", list(FRAMEWORKS))
def framework(session: nox.Session, name: str) -> None:
    """Test one adapter with nothing but its framework installed, and judge its implementations."""
    extras = FRAMEWORKS[name]
    install(session, "-e", f".[{','.join(extras)}]" if extras else ".", *group("test"))
    session.run("pytest", f"tests/backends/test_{name}.py", *session.posargs)
    session.run("gruspec", "check")


@nox.session
def seed_layer(session: nox.Session) -> None:
    """Compare gruspec_numpy.GRU with the layer it is, on random configurations: ``-- --examples N --seed S``."""
    install(session, "-e", ".[tensorflow,reference]", *group("test"))
    session.run("python", "tests/differential/seed_layer.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read damaged files of every format: ``-- --mutations N --seed S``, or ``-- --format npz --only K`` for one."""
    install(session, "-e", ".[files,orbax,tensorflow,torch,jax,onnx]", "flax")
    session.run("python", "tests/fuzz/fuzz_files.py", *(session.posargs or ["--mutations", "20000", "--seed", "0"]))


@nox.session
@nox.parametrize("name", list(WEIGHTS))
def weights(session: nox.Session, name: str) -> None:
    """Check every layout against its framework, conversions between all in one environment, and JAX's files.

    WebNN runs in browsers and Core ML on Apple's systems, so that their layouts rest on published documentation alone;
    cuDNN and CuDNNGRU run where TensorFlow sees a GPU, and elsewhere their tests are skipped.
    """
    session.log("These run nowhere here: webnn-zrn, webnn-rzn, coreml; these on a GPU: cudnn, cudnn-gru.")
    requirements = ["-c", "constraints-weights.txt", *WEIGHTS[name], *group("test")]
    if name != "mxnet":
        install(session, *requirements)
    elif sys.version_info < (3, 12):
        session.install(*requirements)
        session.install("--no-deps", "-e", ".")
    else:
        session.skip("MXNet needs a NumPy that needs Python 3.11")
    session.env["KERAS_BACKEND"] = "jax" if name == "keras" else "tensorflow"
    more = [*sorted(Path("tests/unit").glob("test_layout*.py")), Path("tests/backends/test_jax_files.py")]
    session.run("pytest", "tests/weights", *map(str, more if name == "together" else ()), *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Count the wrong GRUs that ONNX's tests, Keras 3's and the golden suite catch. Arguments go to the command."""
    install(session, "-e", ".[onnx,jax]", "keras", "pytest")
    session.run("python", "benchmarks/peers.py", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Install a built wheel with the core's dependencies alone, and judge NumPy from another folder."""
    install(session, ".")
    session.cd(session.create_tmp())
    session.run("gruspec", "list")
    session.run("gruspec", "check", "numpy")


@nox.session
def golden(session: nox.Session) -> None:
    """Regenerate the golden data and compare it byte for byte."""
    install(session, "-e", ".[reference]")
    session.run("gruspec", "generate", "--check")
