"""A method under test: all its selections are made here, so that every error becomes a reason for failure."""

from __future__ import annotations

import hashlib
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
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

Returned = TypeVar("Returned")


class Failed(Exception):
    """The method fails a check; the text says what it did."""


@dataclass(frozen=True)
class PoolCall:
    """A call of a method on its pool: the name of a part, ``labels`` or ``reveal``, and the part's options."""

    part: str
    options: Options = NO_OPTIONS


class Recorder:
    """A source that records each call, and the arrays that it returned.

    Args:
        source: source of the parts.
    """

    def __init__(self, source: PoolSource) -> None:
        self._source = source
        self.calls: list[PoolCall] = []
        self._returned: list[tuple[str, NDArray[Any], str]] = []

    def edited(self) -> list[str]:
        """Return the names of the arrays that have changed since they were returned."""
        return sorted({name for name, array, digest in self._returned if _digest(array) != digest})

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        """Return the source's part."""
        self.calls.append(PoolCall(part.name, options))
        return self._recorded(part.name, self._source.read(part, options, asked))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the source's labels of some images."""
        self.calls.append(PoolCall("reveal"))
        return self._recorded("reveal", self._source.reveal(indices))

    def labels(self) -> NDArray[np.int64]:
        """Return the source's labels."""
        self.calls.append(PoolCall("labels"))
        return self._recorded("labels", self._source.labels())

    def _recorded(self, part: str, value: Returned) -> Returned:
        self._returned += [(name, array, _digest(array)) for name, array in _arrays(part, value)]
        return value


@dataclass(frozen=True)
class Case:
    """A registered method, run on small pools."""

    entry: Entry[MethodInfo]

    def budgets(self, size: int) -> list[int]:
        """Return budgets of none, one, few, half and all of N images; only all for a method that does not prune."""
        return [size] if self.entry.info.unpruned else sorted({0, min(1, size), size // 8, size // 2, size})

    def budget(self, size: int) -> int:
        """Return a third of the pool, or all of it for a method that does not prune."""
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
        """Select as the harness does, and return the coreset or the method's refusal.

        Args:
            sample: the pool.
            budget: n.
            params: parameters that are set.
            seed: seed of the selection.
            recorder: replaces the sample's source, to record the calls on the pool.
            numeric_warnings: whether a ``RuntimeWarning`` (overflow, 0 / 0, mean of nothing) is a failure.

        Returns:
            The coreset, or the error by which the method refused the request.

        Raises:
            Failed: the method read what it may not, returned no coreset, or raised anything but a ``BenchError``.
        """
        chosen = dict(params or {})
        # The method's own error is a refusal, which a check may accept; an error about its result is not.
        returned = False

        def watched(*args: Any, **keywords: Any) -> Any:
            nonlocal returned
            result = self.entry.function(*args, **keywords)
            returned = True
            return result

        where = _where(sample.size, budget, seed, chosen)
        # A method may read the rate; with a budget of 0 there is no rate, and the method is not called.
        rate = 1 - max(budget, 1) / sample.size
        try:
            with warnings.catch_warnings():
                # Independent of the caller's filters: pytest may turn warnings of libraries into errors.
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
            if returned:  # the method's result was refused
                raise Failed(f"{where}: {error}") from error
            return error
        except (Exception, SystemExit) as error:
            raise Failed(f"{where}: {_line(error, self.entry.function)}{type(error).__name__}: {error}") from error

    def coreset(
        self,
        sample: Sample,
        budget: int,
        params: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        recorder: Recorder | None = None,
    ) -> Kept:
        """Return the coreset, see ``attempt``; a refusal is a failure too."""
        result = self.attempt(sample, budget, params, seed=seed, recorder=recorder)
        if isinstance(result, BenchError):
            raise Failed(f"{_where(sample.size, budget, seed, params or {})}: refused: {result}") from result
        return result


def _arrays(part: str, value: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Return (name, array) of each read-only array in a part's value: ``images``, ``dynamics.aum`` and so on."""
    arrays = {part: value} if isinstance(value, np.ndarray) else {}
    if isinstance(value, (Dynamics, Neighbors, Outputs)):
        fields = value.arrays() if isinstance(value, Dynamics) else value._asdict()
        arrays = {f"{part}.{name}": array for name, array in fields.items()}
    # Writeable arrays are copies for the method, which may change them.
    return ((name, array) for name, array in arrays.items() if not array.flags.writeable)


def _line(error: BaseException, function: Callable[..., Any]) -> str:
    """Return the line of the method's own file at which an error arose, ``mine.py:12: ``; empty if there is none."""
    code = getattr(function, "__code__", None)  # a callable object has none
    path = code.co_filename if code else None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{Path(path).name}:{lines[-1]}: " if path and lines else ""


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _where(size: int, budget: int, seed: int, params: Mapping[str, Any]) -> str:
    settings = "".join(f", {name}={value!r}" for name, value in params.items())
    return f"n = {budget} of {size} images, seed {seed}{settings}"
