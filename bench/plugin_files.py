"""Plugins in a single file, without a package or an entry point."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from bench.errors import SpecError, nearest_file
from bench.outside import import_outside
from bench.plugins import datasets, encoders, methods, models


def load_plugin(path: str | Path) -> None:
    """Run a Python file that registers methods, data sets, encoders or models.

    The plugins are sent to workers by value, so that other machines need not have the file.

    Raises:
        SpecError: there is no such file, it raises an error, or it registers nothing.
    """
    import cloudpickle

    path = Path(path)
    if not path.exists():
        raise SpecError(f"--plugin {path} does not exist; give a Python file.{nearest_file(path)}")
    if path.suffix != ".py" or not path.is_file():
        raise SpecError(f"--plugin {path} is not valid: give a Python file, such as my_method.py.")
    registries = (methods, datasets, encoders, models)
    before = [[entry.function for entry in registry.by_hand()] for registry in registries]
    # A prefix, since the file may have the name of a package that it imports: sklearn.py, random.py.
    name = f"bench_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # Before the module runs, since dataclasses and pickle look it up by its name.
    sys.modules[name] = module
    reason = import_outside(partial(spec.loader.exec_module, module))
    if reason is not None:
        raise SpecError(f"--plugin {path} cannot be loaded: {reason}.")
    cloudpickle.register_pickle_by_value(module)
    # By function: a notebook that loads an edited file again has the names already.
    if [[entry.function for entry in registry.by_hand()] for registry in registries] == before:
        raise SpecError(f"--plugin {path} registers nothing; see docs/add-a-method.md.")
