"""One Ray session for every test that trains through the runner."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is; pytest-timeout ends what hangs.
settings.register_profile("bench", deadline=None)
settings.load_profile("bench")

pytest_plugins = ["data_fixtures", "grid_fixtures"]

PLUGIN = "bench_troublemakers"


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds an installed outside plugin: a module, and metadata that names it as an entry point."""
    folder = tmp_path_factory.mktemp("site")
    source = Path(__file__).parent / "runner" / f"{PLUGIN}.py"
    (folder / source.name).write_text(source.read_text())
    metadata = folder / f"{PLUGIN}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PLUGIN}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[bench.methods]\ntrouble = {PLUGIN}\n\n[bench.models]\ntrouble = {PLUGIN}\n"
    )
    return folder


@pytest.fixture(scope="session")
def ray_session(plugin_folder: Path) -> Iterator[None]:
    """Ray on two CPUs, as the runner starts it; its workers find the outside plugin."""
    from bench.runner.ray_session import use_ray_settings

    before = dict(os.environ)
    paths = [str(plugin_folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    use_ray_settings()
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    os.environ["PYTHONPATH"] = before.get("PYTHONPATH", "")
    yield
    ray.shutdown()


@pytest.fixture
def troublemakers(plugin_folder: Path) -> Iterator[None]:
    """The outside plugin's names, in this process for one test only."""
    from bench.plugins import methods, models

    known = {registry.kind: {entry.name for entry in registry} for registry in (methods, models)}
    spec = importlib.util.spec_from_file_location(PLUGIN, plugin_folder / f"{PLUGIN}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[PLUGIN] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PLUGIN])
    yield
    for registry in (methods, models):
        for entry in list(registry):
            if entry.name not in known[registry.kind]:
                registry.remove(entry.name)
    del sys.modules[PLUGIN]
