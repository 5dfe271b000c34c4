"""The public conformance suite: checks that a registered method does what the harness and its readers rely on.

``bench check METHOD`` runs it; a plugin's own tests run it in two lines::

    from bench import conformance_tests
    test_my_method = conformance_tests("my-method")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.plugins import methods

__all__ = ["Finding", "check_method", "conformance_tests"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one method.

    Attributes:
        method: registered name of the method.
        check: name of the check.
        title: what the check requires, in a sentence.
        outcome: ``passed``, ``failed``, or ``skipped`` if the check does not apply to the method.
        reason: why it failed or was skipped; empty if it passed.
    """

    method: str
    check: str
    title: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""


def check_method(name: str, checks: tuple[str, ...] | None = None) -> list[Finding]:
    """Run the conformance suite on a registered method, with small pools of scikit-learn's digits.

    Args:
        name: registered name of the method.
        checks: names of the checks to run; None runs all.

    Returns:
        One finding per check, in the order of ``bench.conformance.checks.CHECKS``. A check never raises.

    Raises:
        UnknownName: no method or check has that name.
    """
    from bench.conformance.applies import why_not
    from bench.conformance.case import Case, Failed
    from bench.conformance.checks import CHECKS
    from bench.engine.notes import collected
    from bench.errors import UnknownName

    case = Case(methods.get(name))
    valid = [check.name for check in CHECKS]
    for requested in checks or ():
        if requested not in valid:
            raise UnknownName("check", requested, valid)
    findings = []
    for check in CHECKS:
        if checks is not None and check.name not in checks:
            continue
        if reason := why_not(check.name, case.entry):
            findings.append(Finding(name, check.name, check.title, "skipped", reason))
            continue
        try:
            with collected():  # warnings about degenerate pools and extreme parameters are no findings
                check.run(case)
        except Failed as failure:
            findings.append(Finding(name, check.name, check.title, "failed", str(failure)))
        except (Exception, SystemExit) as error:  # such as one in the method's needs or check
            reason = f"{type(error).__name__}: {error}"
            findings.append(Finding(name, check.name, check.title, "failed", reason))
        else:
            findings.append(Finding(name, check.name, check.title, "passed"))
    return findings


def conformance_tests(*names: str) -> Callable[..., None]:
    """Return a pytest test with a case for each method and check that applies to it.

    Assign it to a name that starts with ``test_``. ``bench check`` lists the checks that do not apply, and why.

    Args:
        names: registered methods; without any, all methods are tested.

    Returns:
        A parametrised test function that fails with the finding's reason.

    Raises:
        UnknownName: no method has that name.
    """
    import pytest

    from bench.conformance.applies import why_not
    from bench.conformance.checks import CHECKS

    cases = [
        pytest.param(entry.name, check.name, id=f"{entry.name}-{check.name}")
        for entry in ([methods.get(name) for name in names] or methods)
        for check in CHECKS
        if not why_not(check.name, entry)
    ]

    @pytest.mark.parametrize(("method", "check"), cases)
    def conforms(method: str, check: str) -> None:
        [finding] = check_method(method, (check,))
        if finding.outcome == "failed":
            pytest.fail(f"{finding.title} {finding.reason}")

    return conforms
