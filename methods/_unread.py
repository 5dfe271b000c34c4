"""Refusing parameters that would have no effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import SpecError


def refuse_unread(params: Mapping[str, Any], where: str, is_so: bool, defaults: Mapping[str, Any]) -> None:
    """Refuse changed parameters that only matter under a condition, if the condition does not hold.

    Args:
        params: all parameters.
        where: the condition as a user writes it, such as ``sampling=strata``.
        is_so: whether the condition holds.
        defaults: name -> default of each parameter that is read only under the condition.

    Raises:
        SpecError: the message names the parameters and the condition.
    """
    changed = [f"{name}={params[name]}" for name, default in defaults.items() if params[name] != default]
    if changed and not is_so:
        raise SpecError(f"{' and '.join(changed)} changes nothing without {where}; leave it out, or say {where}.")
