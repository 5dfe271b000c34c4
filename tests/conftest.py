"""One Ray session for every test that trains through the runner."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from bench.engine.executors.base import Executor

# How long an example takes says how busy the machine is; pytest-timeout ends what hangs.
settings.register_profile("bench", deadline=None)
settings.load_profile("bench")

pytest_plugins = ["data_fixtures", "file_fixtures", "grid_fixtures", "photo_fixtures"]

PLUGINS = ("bench_troublemakers", "bench_writers")


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

    known = {registry.kind: {entry.name for entry in registry} for registry in (methods, models)}
    for plugin in PLUGINS:
        spec = importlib.util.spec_from_file_location(plugin, plugin_folder / f"{plugin}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[plugin] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[plugin])
    yield
    for registry in (methods, models):
        for entry in list(registry):
            if entry.name not in known[registry.kind]:
                registry.remove(entry.name)
    for plugin in PLUGINS:
        del sys.modules[plugin]
