"""The source of a method's pool: its parts come from the shared stages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data import Images, private
from bench.parts import IMAGES, Chosen, Options, Part, Value
from bench.pool import NOTHING, Asked
from bench.stages.givers import Giver, Givers, giver
from bench.stages.selection import Selection
from bench.stages.session import Session


class StageSource:
    """Serves a pool's parts from the shared stages of one selection, as read-only arrays for the method alone.

    Args:
        selection: gives data set, encoder, proxy and seed.
        session: loads and computes the stages.
    """

    def __init__(self, selection: Selection, session: Session) -> None:
        self._selection, self._session = selection, session

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        """Return the part, loaded from the store or computed now."""
        return giver(part).read(self._selection, self._session, options, asked)

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """See ``Pool.reveal``."""
        return _labels(self._selection, self._session)[indices]

    def labels(self) -> NDArray[np.int64]:
        """See ``Pool.labels``."""
        return private(_labels(self._selection, self._session))


def _labels(selection: Selection, session: Session) -> NDArray[np.int64]:
    return session.dataset(selection.dataset).train.labels


def _images(selection: Selection, session: Session, options: Options, asked: Asked) -> Images:
    images = session.dataset(selection.dataset).train.images
    # The session keeps the data set for later stages, which must not see a method's changes.
    return private(images) if isinstance(images, np.ndarray) else images


GIVERS: Givers = {IMAGES.name: Giver(_images)}
