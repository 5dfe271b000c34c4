"""Registries of methods, data sets, encoders and models: registration, entry points, look-up, parameters."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench.errors import RegistrationError, SpecError, UnknownName
from bench.outside import import_outside

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Info = TypeVar("Info")
Function = TypeVar("Function", bound=Callable[..., Any])
logger = logging.getLogger(__name__)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""Valid names of plugins."""
_LOADING: ContextVar[bool] = ContextVar("loading", default=False)
"""Whether installed plugins of any kind are being imported; one module may register several kinds."""
_OF_A_FILE = "If a file of yours registers it, give --plugin FILE (in Python: bench.load_plugin)."
STRIPPED = sys.flags.optimize >= 2
"""Whether this Python drops all docstrings (``-OO``, ``PYTHONOPTIMIZE=2``), including those of built-in plugins."""


@dataclass(frozen=True)
class Param:
    """One hyper-parameter of a plugin: a keyword-only argument with a default."""

    name: str
    default: Any
    annotation: Any

    def validate(self, value: Any, owner: str) -> Any:
        """Return ``value`` converted to the declared type, or refuse it.

        Raises:
            SpecError: the value does not fit the annotation.
        """
        from pydantic import ValidationError

        from bench.valid import valid_instead

        problems: list[Any] = [{"type": "bool", "input": value}]
        try:
            checked = self._adapter.validate_python(value)
        except ValidationError as error:
            problems = error.errors()
        else:
            # pydantic takes True for the number 1.
            if not isinstance(value, bool) or isinstance(checked, bool):
                return checked
        raise SpecError(
            f"{owner}: {self.name}={value!r} is not valid: {valid_instead(problems, self._adapter.json_schema())}"
        )

    # Kept: making one takes 110 us, a validation 1 us (n = 500, AMD EPYC, 2026-11-29); a plan validates thousands.
    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        return TypeAdapter(self.annotation)


@dataclass(frozen=True)
class Entry(Generic[Info]):
    """One registered plugin: its function, where it was defined, its parameters and its declaration."""

    kind: str
    name: str
    function: Callable[..., Any]
    info: Info
    params: Mapping[str, Param]
    code: str | None = None
    """The ``code_digest`` that a plugin sent to this worker had where it was registered."""

    @property
    def origin(self) -> str:
        """Module and name of the registered function."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def package(self) -> str:
        """Top-level package of the registered function; ``bench`` for built-in plugins."""
        return self.function.__module__.partition(".")[0]

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def resolve(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters: the given values, validated, and the defaults of the others.

        Raises:
            SpecError: an unknown parameter or a value outside its declared range.
        """
        for name in values:
            if name not in self.params:
                raise UnknownName(f"parameter of {self.kind} {self.name!r}:", name, self.params)
        owner = f"{self.kind} {self.name}"
        return {
            # A copy: a plugin may edit its list or dict in place, and the next call gets the same default.
            name: param.validate(values[name], owner) if name in values else deepcopy(param.default)
            for name, param in self.params.items()
        }

    def changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the validated parameters that differ from their defaults, so that each meaning has one spelling.

        Raises:
            SpecError: see ``resolve``.
        """
        resolved = self.resolve(values)
        return {name: value for name, value in resolved.items() if value != self.params[name].default}


@dataclass
class Registry(Generic[Info]):
    """The plugins of one kind, by name.

    Args:
        kind: singular noun for error messages.
        package: import name of the package whose modules are the built-in plugins.
        group: entry-point group under which outside packages add their plugins.
        positional: names of the positional arguments that every plugin function takes.
    """

    kind: str
    package: str
    group: str
    positional: tuple[str, ...]
    _entries: dict[str, Entry[Info]] = field(default_factory=dict)
    _broken: list[str] = field(default_factory=list)
    _by_hand: set[str] = field(default_factory=set)
    _loaded: set[str] = field(default_factory=set)

    def add(self, name: str, function: Function, info: Info, code: str | None = None) -> Function:
        """Validate and register ``function`` under ``name``; return it unchanged.

        Raises:
            RegistrationError: a bad name, signature or docstring, or a name that another function has.
        """
        entry = Entry(self.kind, name, function, info, self._params(name, function), code)
        known = self._entries.get(name)
        # The same function again comes from a notebook cell run twice, or a module loaded again.
        if known is not None and known.origin != entry.origin:
            raise RegistrationError(
                f"{self.kind} {name!r} is registered twice: by {known.origin} and by {entry.origin}; rename one."
            )
        self._entries[name] = entry
        if _LOADING.get():
            self._by_hand.discard(name)
        else:
            self._by_hand.add(name)
        return function

    def by_hand(self) -> list[Entry[Info]]:
        """Return the plugins of a notebook, a script or a ``--plugin`` file, which other processes would not find."""
        return [self._entries[name] for name in sorted(self._by_hand & self._entries.keys())]

    def remove(self, name: str) -> None:
        """Remove a plugin, for tests and notebooks that redefine it."""
        self._entries.pop(name, None)

    def get(self, name: str, *, usable: Callable[[Entry[Info]], bool] = lambda entry: True) -> Entry[Info]:
        """Return the plugin of this name.

        Outside packages are imported only for a name that is not built in, so that what they do on import cannot
        change what a worker computes for other plugins.

        Args:
            name: name of the plugin.
            usable: whether an error may suggest a plugin. One that is not usable is still returned.

        Raises:
            UnknownName: there is none; the message gives the nearest names.
        """
        self._load("built in", self._load_built_in)
        if name not in self._entries:
            self._load("outside", self._load_outside)
        if name not in self._entries:
            valid = [entry.name for entry in self._entries.values() if usable(entry)]
            # A grid that was run with a file before does not name it: rows know what computed them by content alone.
            also = [*(f"Also, {problem}." for problem in self._broken), _OF_A_FILE]
            raise UnknownName(self.kind, name, valid, also="".join(f" {text}" for text in also))
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry[Info]]:
        self._load("built in", self._load_built_in)
        self._load("outside", self._load_outside)
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def _load(self, what: str, load: Callable[[], None]) -> None:
        if what in self._loaded:
            return
        self._loaded.add(what)  # before loading, since a plugin's module may look up another plugin
        before = _LOADING.set(True)
        try:
            load()
        except BaseException:
            self._loaded.remove(what)  # the next look-up fails the same way instead of missing names
            raise
        finally:
            _LOADING.reset(before)

    def _load_built_in(self) -> None:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            name = f"{self.package}.{module.name}"
            # Modules with an underscore hold shared code and register nothing.
            if not module.name.startswith("_"):
                try:
                    importlib.import_module(name)
                except RegistrationError as error:
                    raise RegistrationError(f"the module {name} cannot be loaded: {error}") from error
                except Exception as error:
                    self._leave_out(f"the module {name}", str(error))

    def _load_outside(self) -> None:
        for point in entry_points(group=self.group):
            package = point.dist.name if point.dist else "an unknown package"
            what = f"the plugin {point.value!r} of {package} (entry point group {self.group})"
            try:
                reason = import_outside(point.load)
            except KeyboardInterrupt:  # the import may be what took so long
                logger.warning("stopped while %s was imported", what)
                raise
            if reason is not None:
                self._leave_out(what, reason)

    def _leave_out(self, what: str, reason: str) -> None:
        """Note a module that cannot be imported, so that the other plugins can still be used."""
        problem = f"{what} cannot be loaded: {reason}"
        logger.warning(problem)
        self._broken.append(problem)

    def _params(self, name: str, function: Callable[..., Any]) -> dict[str, Param]:
        where = f"{self.kind} {name!r} ({function.__module__}.{function.__qualname__})"
        if not NAME.fullmatch(name):
            raise RegistrationError(f"{where}: a name has lower-case letters, digits, '-' and '_' only.")
        if not STRIPPED and not inspect.getdoc(function):
            raise RegistrationError(f"{where}: the function needs a docstring; its first line is shown in listings.")
        arguments = inspect.signature(function).parameters.values()
        positional = [argument.name for argument in arguments if argument.kind is not argument.KEYWORD_ONLY]
        keywords = [argument for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
        for argument in keywords:
            if argument.default is argument.empty:
                raise RegistrationError(f"{where}: parameter {argument.name!r} needs a default.")
        if tuple(positional) != self.positional:
            raise RegistrationError(
                f"{where}: positional arguments must be ({', '.join(self.positional)}), got ({', '.join(positional)}); "
                "hyper-parameters are keyword-only (put a * before them)."
            )
        try:
            hints = _hints(function, [argument.name for argument in keywords])
        except NameError as error:
            raise RegistrationError(f"{where}: the annotation of a parameter cannot be evaluated: {error}.") from error
        return {a.name: Param(a.name, a.default, hints.get(a.name, Any)) for a in keywords}


def _hints(function: Callable[..., Any], names: list[str]) -> dict[str, Any]:
    """Return the evaluated annotations of the named arguments; only type checkers may be able to import the others."""
    annotations = {name: hint for name, hint in function.__annotations__.items() if name in names}
    # ``get_type_hints`` evaluates all annotations, so it gets an object that has only these.
    holder = types.SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=function.__globals__, include_extras=True)
