"""Parameters that nothing reads beside the others, which a user would take for a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import SpecError


def refuse_unread(params: Mapping[str, Any], where: str, is_so: bool, defaults: Mapping[str, Any]) -> None:
    """Refuse parameters that were changed and are read only under a condition, where that does not hold.

    Args:
        params: all parameters.
        where: the condition as a user writes it, such as ``sampling=strata``.
        is_so: whether it holds.
        defaults: name -> default, of the parameters that are read under the condition alone.

    Raises:
        SpecError: names them.
    """
    changed = [f"{name}={params[name]}" for name, default in defaults.items() if params[name] != default]
    if changed and not is_so:
        raise SpecError(f"{' and '.join(changed)} changes nothing without {where}; leave it out, or say {where}.")
