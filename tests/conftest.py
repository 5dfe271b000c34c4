"""One Ray session for every test that trains through the runner."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from bench.engine.executors.base import Executor

# `make unit` runs a worker for each core: with threads of their own they would spin while they wait for each other.
# Here, since OpenMP reads it when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What sets torch's threads itself, such as a command in this process, would have them spin all the same, which took ten
# times the processor on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# How long an example takes says how busy the machine is; pytest-timeout ends what hangs.
settings.register_profile("bench", deadline=None)
settings.load_profile("bench")

# A script that starts the tests in the background (`make test &`) has them ignore Ctrl-C; every process that they start
# would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.photo_fixtures",  # before those that import it, so that its asserts are rewritten
    "tests.cifar_fixtures",
    "tests.data_fixtures",
    "tests.file_fixtures",
    "tests.grid_fixtures",
    "tests.row_fixtures",
    "tests.claim_fixtures",
]

PLUGINS = ("bench_troublemakers", "bench_writers")


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Let no garbage collection look at what is imported: it stays, and there are 700,000 objects of it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but only among what tests make."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``integration`` what uses Ray or is ``long``, so that ``make unit`` leaves it out; put long waits first.

    What is ``long``, ``slow`` or among the ``faults`` takes longest and waits most. Begun first, by one worker of
    xdist, it leaves the processor to the short tests of the others, which steal the rest of it at their end. Begun
    last, all workers would wait at the same time: the last 2 % of CI's tests took 8 of its 23 minutes. What uses Ray
    comes next, so that it has one session of Ray in that worker, not one in each.
    """
    for item in items:
        if _uses_ray(item) or item.get_closest_marker("long"):
            item.add_marker("integration")
    items.sort(key=_turn)


def _uses_ray(item: pytest.Item) -> bool:
    return not {"ray_session", "executor"}.isdisjoint(getattr(item, "fixturenames", ()))


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    """The place of a test in the order, lowest first; tests of one place stay as they were."""
    waits_long = {"long", "slow", "faults"} & {mark.name for mark in item.iter_markers()}
    return not waits_long, not _uses_ray(item)


class _Watch:
    """Refuse a second Python while a unit test runs; what libraries ask git or ldconfig takes no time."""

    def __init__(self) -> None:
        self.unit = False
        sys.addaudithook(self.heard)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.unit and event == "subprocess.Popen" and "python" in Path(os.fsdecode(arguments[0])).name:
            raise AssertionError("a unit test started a second Python: mark it with pytest.mark.integration")


_watch = _Watch()


@pytest.fixture(autouse=True)
def _no_process_in_a_unit_test(request: pytest.FixtureRequest) -> Iterator[None]:
    _watch.unit = request.node.get_closest_marker("integration") is None
    yield
    _watch.unit = False


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """Keep the command that Typer makes of an app: its test runner makes all of ours again for each call of one."""
    from typer.main import get_command  # here, since pytest-xdist's first process never asks for it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds installed outside plugins: modules, and metadata that name them as entry points."""
    folder = tmp_path_factory.mktemp("site")
    for plugin in PLUGINS:
        source = Path(__file__).with_name(f"{plugin}.py")
        (folder / source.name).write_text(source.read_text())
        metadata = folder / f"{plugin}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {plugin}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            f"[bench.methods]\n{plugin} = {plugin}\n\n[bench.models]\n{plugin} = {plugin}\n"
        )
    return folder


@pytest.fixture(scope="session")
def ray_session(plugin_folder: Path) -> Iterator[None]:
    """Ray on two CPUs, as the runner starts it; its workers find the outside plugin."""
    from bench.engine.executors.ray_cluster import use_ray_settings

    before = dict(os.environ)
    paths = [str(plugin_folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    use_ray_settings()
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    os.environ["PYTHONPATH"] = before.get("PYTHONPATH", "")
    yield
    ray.shutdown()


@pytest.fixture(params=["ray", "local"])
def executor(request: pytest.FixtureRequest, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    """Each executor that runs work in processes of its own, two at a time."""
    if request.param == "ray":
        request.getfixturevalue("ray_session")
        from bench.engine.executors.ray import OnRay

        return OnRay()
    from bench.engine.executors.local import Workers

    monkeypatch.syspath_prepend(str(plugin_folder))
    return Workers(2)


@pytest.fixture
def troublemakers(plugin_folder: Path) -> Iterator[None]:
    """The outside plugins' names, in this process for one test only."""
    from bench.plugins import methods, models

    registries: tuple[Any, ...] = (methods, models)
    known = {registry.kind: {entry.name for entry in registry} for registry in registries}
    for plugin in PLUGINS:
        spec = importlib.util.spec_from_file_location(plugin, plugin_folder / f"{plugin}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[plugin] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[plugin])
    yield
    for registry in registries:
        for entry in list(registry):
            if entry.name not in known[registry.kind]:
                registry.remove(entry.name)
    for plugin in PLUGINS:
        del sys.modules[plugin]
