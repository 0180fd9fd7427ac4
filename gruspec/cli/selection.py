"""From options to a plan: which implementations, which cases, which expectations."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.core import ParameterSource

from gruspec.backend import Registry
from gruspec.cases import Suite
from gruspec.conformance import (
    DEFAULT_DTYPES,
    Expectations,
    Header,
    Implementation,
    Plan,
    Results,
    file_stem,
    shipped_expectations,
)
from gruspec.errors import MissingDependency, PluginError, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    import click

    from gruspec.backend import Registration
    from gruspec.cases import Case
    from gruspec.cli.options import RunOptions
    from gruspec.conformance import Subject


def chosen_implementations(options: RunOptions) -> tuple[list[Implementation], dict[str, str]]:
    """Return the implementations to run, and why others are left out.

    All that are named run. If none is, those run whose framework is installed and which have the device.

    Raises
    ------
    UsageError
        If a name is not registered.
    MissingDependency
        If a framework is not installed; of all of them, if none is named.
    PluginError
        If a named one cannot be loaded.
    """
    registry = Registry()
    names = dict.fromkeys(options.implementations)
    if any(":" in name for name in names) and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    left_out: dict[str, str] = {}
    if names:
        found = [registry.get(name) for name in names]
        for registration in found:
            if ":" not in registration.name:
                registration.load_runnable()
    else:
        found, left_out = _installed(registry, options.device)
    subjects = [Implementation(entry, device=options.device, timeout=options.timeout) for entry in found]
    return subjects, left_out


def _installed(registry: Registry, device: str) -> tuple[list[Registration], dict[str, str]]:
    found, left_out = [], {}
    for name in registry.names():
        registration = registry.get(name)
        try:
            capabilities = registration.load_runnable().capabilities()
        except MissingDependency as error:
            left_out[name] = str(error)
            continue
        except PluginError:
            found.append(registration)  # its own process reports this, and the others go on
            continue
        if device in capabilities.devices:
            found.append(registration)
        else:
            left_out[name] = f"it has no {device}"
    if not found:
        raise MissingDependency("\n".join(["no implementation can run here", *left_out.values()]))
    return found, left_out


def registry_plan(options: RunOptions) -> tuple[Plan, Sequence[Subject]]:
    """Return what to run, and the implementations that the options name.

    Raises
    ------
    As :func:`chosen_implementations` and :func:`plan_for`.
    """
    subjects, left_out = chosen_implementations(options)
    return plan_for(options, [subject.name for subject in subjects], left_out), subjects


def results_plan(path: Path, options: RunOptions) -> tuple[Plan, Sequence[Subject]]:
    """Return what to judge, and a file of results in the place of an implementation.

    Raises
    ------
    UsageError
        If implementations are named as well, or not one dtype.
    """
    if options.implementations:
        raise UsageError(f"--results {path} is judged by itself; leave out {', '.join(options.implementations)}")
    if len(options.dtypes) != 1:
        raise UsageError(f"--results {path}: say in which dtype it was computed, as in --dtype float32")
    found = Results(path, options.dtypes[0], Suite.load(options.golden).cases())
    return plan_for(options, [found.name]), [found]


def random_suite(options: RunOptions, count: int, seed: int) -> tuple[Header, list[Case]]:
    """Return random cases with bounds but without expected values, and where they come from.

    Raises
    ------
    UsageError
        If the options also select golden cases.
    """
    from gruspec.generate.random_cases import comparable_case

    chosen = {"--topic": options.topics, "--case": options.ids, "--quick": options.quick, "--golden": options.golden}
    if given := [option for option, value in chosen.items() if value]:
        raise UsageError(f"--random {count} draws its own cases; leave out {listed(given)}")
    return Header(version="random", seed=seed), [comparable_case(seed, k) for k in range(count)]


def plan_for(
    options: RunOptions,
    names: Iterable[str],
    left_out: Mapping[str, str] | None = None,
    drawn: tuple[Header, Sequence[Case]] | None = None,
) -> Plan:
    """Return the plan to run implementations of these names on golden cases, or on those that are ``drawn``.

    Raises
    ------
    UsageError
        If a topic or a case does not exist, or an expectation cannot be read.
    IntegrityError
        If the golden data is not what its manifest says.
    """
    header, cases = drawn or _golden(options)
    folder = options.expectations or shipped_expectations()
    return Plan(
        cases=cases,
        header=header,
        dtypes=tuple(dict.fromkeys(options.dtypes)) or DEFAULT_DTYPES,
        device=options.device,
        expectations={name: Expectations.load(folder / f"{file_stem(name)}.toml") for name in names},
        whole=drawn is None and not (options.topics or options.ids or options.quick),
        jobs=options.jobs,
        left_out=left_out or {},
    )


def _golden(options: RunOptions) -> tuple[Header, Sequence[Case]]:
    suite = Suite.load(options.golden)
    header = Header(
        version=suite.version, spec_version=suite.spec_version, sha256=suite.sha256, flags=dict(suite.flags)
    )
    return header, _selected(suite, options)


def _selected(suite: Suite, options: RunOptions) -> Sequence[Case]:
    if options.quick and (options.topics or options.ids):
        raise UsageError("--quick is a selection of its own; leave out --topic and --case")
    cases = list(suite.cases(options.topics or None))
    if options.quick:
        return [case for case in cases if case.id in suite.quick]
    if not options.ids:
        return cases
    known = {case.id for case in cases}
    for name in options.ids:
        if name not in known:
            within = f" in topic {', '.join(options.topics)}" if options.topics else ""
            raise UsageError(f"{name}: no such case{within}{nearest(name, known)}")
    return [case for case in cases if case.id in options.ids]


def refuse_ignored(context: click.Context, used: Container[str], why: str) -> None:
    """Refuse what is stated on the command line and would not be looked at.

    Parameters
    ----------
    context
        Of the command.
    used
        Names of the parameters that are looked at.
    why
        Beginning of the message: what makes the others meaningless.

    Raises
    ------
    UsageError
        If any other parameter is stated. It is named as it is written there.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        stated = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if stated and context.params[name] and name not in used:
            written = parameter.opts[0] if parameter.param_type_name == "option" else listed(context.params[name])
            raise UsageError(f"{why}, so that {written} would be ignored; leave it out")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message that says what may have been meant; empty if nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
