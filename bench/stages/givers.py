"""How the stages give a method the parts of its pool; each module of a stage says it for its own part."""

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
    """Gives one part of the pool of a selection; it stands in its module under the part's name, in ``GIVERS``.

    Attributes:
        read: (selection, session, options, what the call asks about) -> the part. Arrays are the method's own.
        stages: (selection, options) -> the stages that must be there before the method runs.
        trains: (selection, options) -> whether a network is trained while the method runs.
        version: of what ``read`` itself computes while the method runs; raise it when that gives other values. Stages
            that it reads have versions of their own.
    """

    read: Callable[[Selection, Session, Chosen, Asked], Value]
    stages: Callable[[Selection, Chosen], Sequence[Stage]] = lambda selection, options: ()
    trains: Callable[[Selection, Chosen], bool] = lambda selection, options: False
    version: int = 1


Givers = dict[str, Giver[Any, Any]]


def giver(part: Part[Chosen, Value]) -> Giver[Chosen, Value]:
    """Return what gives the part, by the module that its row of the table names."""
    # Imported when asked for: the modules of the stages import this one.
    givers: Givers = import_module(f"bench.stages.{part.stage}").GIVERS
    return givers[part.name]


def read_arrays(session: Session, stage: Stage) -> Arrays:
    """Return the stage's arrays, read-only; of the store for this call, or just computed: nobody else has them."""
    return {name: read_only(array) for name, array in session.arrays(stage).items()}


def gives(
    stage: Callable[[Selection, Chosen], Stage], value: Callable[[Arrays, Chosen], Value]
) -> Giver[Chosen, Value]:
    """Make a giver whose part is what one stage stores.

    Args:
        stage: (selection, options) -> the stage.
        value: (its arrays, options) -> the part.
    """
    return Giver(
        lambda selection, session, options, asked: value(read_arrays(session, stage(selection, options)), options),
        lambda selection, options: [stage(selection, options)],
    )
