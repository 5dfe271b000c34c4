"""One method under examination: every selection goes through here, so that each mishap becomes a reason."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.conformance.samples import Sample
from bench.dynamics import Dynamics
from bench.errors import BenchError, LabelAccessError, UndeclaredNeed
from bench.parts import NO_OPTIONS, Chosen, Options, Part, Value
from bench.plugins import MethodInfo
from bench.pool import NOTHING, Asked, Neighbors, Outputs, PoolSource
from bench.registry import Entry
from bench.selection import method_pool, run_method
from bench.weighted import Kept

Given = TypeVar("Given")


class Failed(Exception):
    """The method does not do what the check asks; the text says what it did."""


@dataclass(frozen=True)
class Call:
    """One call that a method made on its pool: the part's name, or labels or reveal, and the part's options."""

    part: str
    options: Options = NO_OPTIONS


class Recorder:
    """Hands out the parts of a source, and notes each call and the arrays that it gave.

    Args:
        source: where the parts come from.
    """

    def __init__(self, source: PoolSource) -> None:
        self._source = source
        self.calls: list[Call] = []
        self._given: list[tuple[str, NDArray[Any], str]] = []

    def edited(self) -> list[str]:
        """Names of the arrays that are not any more what they were when they were handed out."""
        return sorted({name for name, array, digest in self._given if _digest(array) != digest})

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        """As the source's."""
        self.calls.append(Call(part.name, options))
        return self._noted(part.name, self._source.read(part, options, asked))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """As the source's."""
        self.calls.append(Call("reveal"))
        return self._noted("reveal", self._source.reveal(indices))

    def labels(self) -> NDArray[np.int64]:
        """As the source's."""
        self.calls.append(Call("labels"))
        return self._noted("labels", self._source.labels())

    def _noted(self, part: str, given: Given) -> Given:
        self._given += [(name, array, _digest(array)) for name, array in _arrays(part, given)]
        return given


@dataclass(frozen=True)
class Case:
    """A registered method, run on small pools."""

    entry: Entry[MethodInfo]

    def budgets(self, size: int) -> list[int]:
        """None, one, few, half and all of N images; all where the method does not prune."""
        return [size] if self.entry.info.unpruned else sorted({0, min(1, size), size // 8, size // 2, size})

    def budget(self, size: int) -> int:
        """Return a third of the pool; all of it where the method does not prune."""
        return size if self.entry.info.unpruned else size // 3

    def attempt(
        self,
        sample: Sample,
        budget: int,
        params: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        recorder: Recorder | None = None,
        numeric_warnings: bool = True,
    ) -> Kept | BenchError:
        """Select as the harness does.

        Args:
            sample: the pool.
            budget: n.
            params: parameters that are set.
            seed: of the selection.
            recorder: stands for the sample's source where the calls on the pool are of interest.
            numeric_warnings: whether a ``RuntimeWarning`` (overflow, 0 / 0, mean of nothing) is a failure.

        Returns:
            The coreset, or the error by which the method refused the request.

        Raises:
            Failed: the method read what it may not, returned no coreset, or raised anything but a ``BenchError``.
        """
        chosen = dict(params or {})
        # An error of its own is a refusal, which a check may accept; one about what it returned is not.
        returned = False

        def watched(*args: Any, **keywords: Any) -> Any:
            nonlocal returned
            result = self.entry.function(*args, **keywords)
            returned = True
            return result

        where = _where(sample.size, budget, seed, chosen)
        # The rate is what a method may read; for a budget of 0 there is none and the method is not called.
        rate = 1 - max(budget, 1) / sample.size
        try:
            with warnings.catch_warnings():
                # Whatever filters the caller has: pytest turns warnings of libraries into errors.
                warnings.simplefilter("ignore")
                if numeric_warnings:
                    warnings.simplefilter("error", RuntimeWarning)
                pool = method_pool(
                    self.entry,
                    chosen,
                    recorder or sample.source,
                    size=sample.size,
                    num_classes=sample.num_classes,
                    rate=rate,
                    seed=seed,
                )
                return run_method(replace(self.entry, function=watched), pool, chosen, budget, seed)
        except (UndeclaredNeed, LabelAccessError) as error:
            raise Failed(f"{where}: {error}") from error
        except BenchError as error:
            if returned:  # what the method returned was refused
                raise Failed(f"{where}: {error}") from error
            return error
        except (Exception, SystemExit) as error:
            raise Failed(f"{where}: {type(error).__name__}: {error}") from error

    def coreset(
        self,
        sample: Sample,
        budget: int,
        params: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        recorder: Recorder | None = None,
    ) -> Kept:
        """As ``attempt``, where a refusal is a failure too."""
        result = self.attempt(sample, budget, params, seed=seed, recorder=recorder)
        if isinstance(result, BenchError):
            raise Failed(f"{_where(sample.size, budget, seed, params or {})}: refused: {result}") from result
        return result


def _arrays(part: str, given: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Return (name, array) of each read-only array that a source handed out: ``images``, ``dynamics.aum`` and so on."""
    arrays = {part: given} if isinstance(given, np.ndarray) else {}
    if isinstance(given, (Dynamics, Neighbors, Outputs)):
        fields = given.arrays() if isinstance(given, Dynamics) else given._asdict()
        arrays = {f"{part}.{name}": array for name, array in fields.items()}
    # What is writeable is a copy that was made for the method, which may do with it what it likes.
    return ((name, array) for name, array in arrays.items() if not array.flags.writeable)


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _where(size: int, budget: int, seed: int, params: Mapping[str, Any]) -> str:
    given = "".join(f", {name}={value!r}" for name, value in params.items())
    return f"n = {budget} of {size} images, seed {seed}{given}"
