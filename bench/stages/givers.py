"""Givers: how the stages hand a method the parts of its pool. Each module of a stage has the giver of its part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic

from bench.data import Arrays, read_only
from bench.parts import Chosen, Part, Value

if TYPE_CHECKING:
    from bench.pool import Asked
    from bench.stages.base import Stage
    from bench.stages.selection import Selection
    from bench.stages.session import Session


@dataclass(frozen=True)
class Giver(Generic[Chosen, Value]):
    """Gives a selection one part of its pool; its module lists it in ``GIVERS`` under the part's name.

    Attributes:
        read: (selection, session, options, arguments of the read) -> the part, with arrays for the method alone.
        stages: (selection, options) -> the stages that must be stored before the method runs.
        trains: (selection, options) -> whether a network is trained while the method runs.
        version: version of the computation in ``read`` itself; raise it when that gives other values. Stages that it
            reads have versions of their own.
    """

    read: Callable[[Selection, Session, Chosen, Asked], Value]
    stages: Callable[[Selection, Chosen], Sequence[Stage]] = lambda selection, options: ()
    trains: Callable[[Selection, Chosen], bool] = lambda selection, options: False
    version: int = 1


Givers = dict[str, Giver[Any, Any]]


def giver(part: Part[Chosen, Value]) -> Giver[Chosen, Value]:
    """Return the giver of the part, from the module that its row of the table names."""
    # Imported here, since the modules of the stages import this one.
    givers: Givers = import_module(f"bench.stages.{part.stage}").GIVERS
    return givers[part.name]


def read_arrays(session: Session, stage: Stage) -> Arrays:
    """Return the stage's arrays, read-only; they were loaded or computed for this call, so nobody else has them."""
    return {name: read_only(array) for name, array in session.arrays(stage).items()}


def gives(
    stage: Callable[[Selection, Chosen], Stage], value: Callable[[Arrays, Chosen], Value]
) -> Giver[Chosen, Value]:
    """Return a giver whose part is the stored result of one stage.

    Args:
        stage: (selection, options) -> the stage.
        value: (the stage's arrays, options) -> the part.
    """
    return Giver(
        lambda selection, session, options, asked: value(read_arrays(session, stage(selection, options)), options),
        lambda selection, options: [stage(selection, options)],
    )
