"""The verdict on one case: from what an implementation did to a status and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gruspec.cases.model import Call, judged_outputs
from gruspec.conformance.verdict import Element, Verdict, judge_array
from gruspec.errors import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.backend import Capabilities
    from gruspec.cases.model import Case
    from gruspec.conformance.replies import Reply, Step

Status: TypeAlias = Literal["pass", "fail", "error", "unsupported", "xfail", "xpass"]

STATUSES: tuple[Status, ...] = ("pass", "fail", "error", "unsupported", "xfail", "xpass")

DIGITS = {"float64": 17, "float32": 9, "float16": 5, "bfloat16": 4}
"""Significant digits that tell neighbouring numbers of a dtype apart."""


@dataclass(frozen=True)
class Worst:
    """The worst element of a case and where it is."""

    call: int
    output: str
    element: Element

    def describe(self, dtype: str) -> str:
        """Return the element in one line."""
        worst, digits = self.element, DIGITS[dtype]
        limit = f"± {worst.bound:.4g}, an error of {worst.fraction:.4g} bounds" if worst.bound else "exactly"
        return (
            f"{self.output}[{listed(worst.index)}] of call {self.call}: computed {worst.computed:.{digits}g}, "
            f"expected {worst.expected:.{digits}g} {limit}"
        )


@dataclass(frozen=True)
class Judgement:
    """A status, why, and the figures behind it.

    ``fraction`` and ``ulp`` are the largest error among the ``judged`` of all ``elements``, as a fraction of the bound
    and in units in the last place.
    """

    status: Status
    message: str = ""
    worst: Worst | None = None
    ulp: float = 0.0
    elements: int = 0
    judged: int = 0

    @property
    def fraction(self) -> float:
        """The largest error as a fraction of its bound."""
        return self.worst.element.fraction if self.worst else 0.0


def judge(case: Case, reply: Reply, capabilities: Capabilities | None, *, dtype: str, device: str) -> Judgement:
    """Judge what an implementation did with a case in one dtype.

    Parameters
    ----------
    case
        With its expected values.
    reply
        What came back.
    capabilities
        What the implementation declares; None where nothing is known of it, as of a file of results.
    dtype, device
        In and on which it ran.
    """
    if reply.crash:
        return Judgement("error", f"the process did not survive this case: {reply.crash}")
    if not _is_whole(case, reply):
        return Judgement("error", f"the process answered {len(reply.steps)} of {1 + len(case.calls)} operations")
    outside = [] if capabilities is None else _outside(case, capabilities, dtype, device)
    strict = capabilities is not None and capabilities.kind == "complete"
    return _Trial(case, reply, dtype, outside, strict).judgement()


def _is_whole(case: Case, reply: Reply) -> bool:
    """Whether a reply has a step for the construction and each operation, as far as there was something to try."""
    steps = reply.steps
    ended = bool(steps) and (steps[0].how == "raised" or steps[-1].how == "unsupported")
    return len(steps) == 1 + len(case.calls) or (ended and len(steps) <= len(case.calls))


def _outside(case: Case, capabilities: Capabilities, dtype: str, device: str) -> list[str]:
    """Return why the case lies outside what is declared; empty if it lies inside."""
    reasons = capabilities.refusals(case.spec, dtype=dtype, device=device)
    if case.settings is not None and not capabilities.losses:
        reasons.append("losses")
    for call in case.calls:
        if isinstance(call, Call) and call.inputs.ndim == 3 and (call.mask is None or call.mask.ndim in {2, 3}):
            mask = call.mask[..., 0] if call.mask is not None and call.mask.ndim == 3 else call.mask
            reasons += capabilities.call_refusals(
                case.spec,
                call.inputs,
                mask,
                call.initial_state,
                training=call.training,
                gradients=call.cotangents is not None,
            )
    return list(dict.fromkeys(reasons))


@dataclass(frozen=True)
class _Trial:
    """What an implementation did with a case that lies ``outside`` its claim for these reasons.

    One that is not ``strict`` may refuse what must be refused with any exception, and where it checks it: on
    construction instead of in the first operation, or the other way round.
    """

    case: Case
    reply: Reply
    dtype: str
    outside: list[str]
    strict: bool

    def judgement(self) -> Judgement:
        for position, step in enumerate(self.reply.steps):
            where, wanted = _place(self.case, position)
            if step.how == "unsupported":
                return self._declined(where, step)
            if step.how == "raised":
                settled = self._raised(position, where, wanted, step)
            else:
                settled = self._returned(position, where, wanted, step)
            if settled is not None:
                return settled
        return self._outputs()

    def _declined(self, where: str, step: Step) -> Judgement:
        reasons = "; ".join(step.reasons)
        if self.strict and not self.outside:
            return Judgement("fail", f"{where}: declared but refused: {reasons}")
        return Judgement("unsupported", reasons)

    def _raised(self, position: int, where: str, wanted: str | None, step: Step) -> Judgement | None:
        if wanted is not None and (not self.strict or wanted in step.classes):
            return None
        early = position == 0 and any(operation.raises for operation in self.case.calls[:1])
        if not self.strict and (early or self.case.raises is not None):
            return Judgement("pass")
        if wanted is not None:
            return Judgement("fail", f"{where}: raised {step.text}; expected {wanted}")
        if self.outside:
            return Judgement("unsupported", f"{'; '.join(self.outside)}; {where} raised {step.text}")
        return Judgement("fail", f"{where}: raised {step.text}")

    def _returned(self, position: int, where: str, wanted: str | None, step: Step) -> Judgement | None:
        if wanted is None:
            return Judgement("fail", f"{where}: {step.text}") if step.text else None
        late = position == 0 and any(later.how == "raised" for later in self.reply.steps)
        if late and not self.strict:
            return None
        accepted = "silently accepted" if self.outside else "accepted"
        return Judgement("fail", f"{where}: {accepted} what must be refused with {wanted}")

    def _outputs(self) -> Judgement:
        """Judge every output of every call that returned."""
        verdicts = list(self._verdicts())
        worst = _worst(verdicts)
        messages = [f"{name} of call {call}: {verdict.message}" for call, name, verdict in verdicts if verdict.message]
        judged = sum(verdict.judged for _, _, verdict in verdicts)
        if failing := sum(verdict.failing for _, _, verdict in verdicts):
            example = f"{worst.describe(self.dtype)}; " if worst else ""
            messages.append(f"{example}{failing} of {judged} elements fail")
        if messages and self.outside:
            messages.insert(0, f"silently accepted what it does not declare ({'; '.join(self.outside)}), and wrong")
        return Judgement(
            "fail" if messages else "pass",
            "; ".join(messages),
            worst,
            max((verdict.ulp for _, _, verdict in verdicts), default=0.0),
            sum(verdict.elements for _, _, verdict in verdicts),
            judged,
        )

    def _verdicts(self) -> Iterator[tuple[int, str, Verdict]]:
        steps = self.reply.steps[1:]
        for call, name, expected in judged_outputs(self.case):
            if call < len(steps) and steps[call].how == "returned":
                yield call, name, judge_array(self.reply.outputs.get(f"{call}/{name}"), expected, self.dtype)


def _place(case: Case, position: int) -> tuple[str, str | None]:
    """Return the name of a step, and the class of exception that it must raise."""
    if position == 0:
        return "prepare", case.raises
    operation = case.calls[position - 1]
    name = "call" if isinstance(operation, Call) else "reset_states"
    return f"operation {position - 1} ({name})", operation.raises


def _worst(verdicts: list[tuple[int, str, Verdict]]) -> Worst | None:
    found = [(index, name, verdict) for index, name, verdict in verdicts if verdict.worst]
    failing = [entry for entry in found if entry[2].failing]
    elements = [Worst(index, name, verdict.worst) for index, name, verdict in failing or found if verdict.worst]
    return max(elements, key=lambda worst: worst.element.fraction, default=None)
