"""The judge: run implementations on cases that carry expected values, and say which conform.

A :class:`Plan` says what to run; :func:`run` yields events, from which every report is made. Each implementation runs
in a process of its own and never sees an expected value.
"""

from gruspec.conformance.events import (
    CaseFinished,
    CaseStarted,
    Event,
    Header,
    ImplementationFinished,
    ImplementationStarted,
    SuiteFinished,
    SuiteStarted,
)
from gruspec.conformance.expectations import Expectation, Expectations, file_stem, shipped_expectations
from gruspec.conformance.implementation import TIMEOUT, Implementation, Subject
from gruspec.conformance.judge import DIGITS, STATUSES, Judgement, Status, Worst, judge
from gruspec.conformance.parity import Comparison, Disagreement, Failure, compare, failures
from gruspec.conformance.results import Results, ResultsWriter, results_path
from gruspec.conformance.run import CONFORMS, DEFAULT_DTYPES, DIFFERS, ENVIRONMENT, USAGE, Plan, judged, run
from gruspec.conformance.verdict import Element, Verdict, judge_array

__all__ = [
    "CONFORMS",
    "DEFAULT_DTYPES",
    "DIFFERS",
    "DIGITS",
    "ENVIRONMENT",
    "STATUSES",
    "TIMEOUT",
    "USAGE",
    "CaseFinished",
    "CaseStarted",
    "Comparison",
    "Disagreement",
    "Element",
    "Event",
    "Expectation",
    "Expectations",
    "Failure",
    "Header",
    "Implementation",
    "ImplementationFinished",
    "ImplementationStarted",
    "Judgement",
    "Plan",
    "Results",
    "ResultsWriter",
    "Status",
    "Subject",
    "SuiteFinished",
    "SuiteStarted",
    "Verdict",
    "Worst",
    "compare",
    "failures",
    "file_stem",
    "judge",
    "judge_array",
    "judged",
    "results_path",
    "run",
    "shipped_expectations",
]
