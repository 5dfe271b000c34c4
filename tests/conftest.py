"""One Ray session for every test that trains through the runner."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from bench.engine.executors.base import Executor

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

INTEGRATION = (
    "benchmarks/",
    "cli/test_command",
    "cli/test_complete",
    "cli/test_doctor",
    "cli/test_listing.py::test_listings_show_names_parameters_and_sources",
    "cli/test_optimized",
    "cli/test_output",
    "cli/test_programs",
    "cli/test_report",
    "cli/test_run",
    "cli/test_select",
    "cli/test_slim",
    "cli/test_table.py::test_importing_the_tables_imports_no_heavy_package",
    "cli/test_train",
    "cli/test_usage",
    "cli/test_validate.py::test_no_name_reaches_the_terminal_as_a_command",
    "clustering/test_assign.py::test_a_small_pool_does_not_fall_into_one_cluster",
    "clustering/test_temi.py::test_digits_are_clustered",
    "conformance/test_plugin",
    "datasets/test_committed_images.py::test_an_encoder_takes_all_forms_of_the_picture_for_the_same",
    "datasets/test_mnist.py::test_mnist5k",
    "docs/test_pages.py::test_every_grid_of_the_pages_can_be_planned",
    "docs/test_pages.py::test_the_data_set_encoder_and_model_of_the_page_work",
    "docs/test_pages.py::test_the_outside_package_is_found_and_conforms",
    "embedding/test_frozen",
    "encoders/test_resnets",
    "encoders/test_simsiam.py::test_a_collapsed_network_is_an_error",
    "encoders/test_vits",
    "encoders/test_with_open_clip.py::test_open_clip_gives_what_its_own_model_gives",
    "engine/test_coresets",
    "engine/test_devices.py::test_a_cell_is_the_same_twice",
    "engine/test_durations.py::test_cells_of_data_that_are_not_there_are_counted_and_their_stages_are_not",
    "engine/test_isolation",
    "engine/test_limits",
    "engine/test_reproduce",
    "engine/test_scheduler.py::test_a_cell_starts_as_soon_as_its_coreset_is_there",
    "engine/test_work.py::test_pseudo_labels_are_compared_with_true_labels",
    "engine/test_work.py::test_two_places_with_caches_of_their_own_agree",
    "examples/",
    "faults/",
    "judging/test_network.py::test_all_candidates_together_take_half_a_proxy",
    "judging/test_network.py::test_the_same_coreset_is_judged_alike_wherever_it_stands",
    "labelling/test_approximate.py::test_most_true_neighbours_are_found_at_their_true_distance",
    "labelling/test_approximate.py::test_what_is_said_of_near_duplicates_is_so_and_not_all_pairs_are_compared",
    "labelling/test_images.py::test_more_folders_in_each_other_than_python_has_frames",
    "labelling/test_memory",
    "labelling/test_object_store",
    "labelling/test_page",
    "labelling/test_rounds.py::test_a_second_round_complements_the_first[zcore]",
    "labelling/test_rounds.py::test_every_beginning_of_an_order_is_a_good_choice[zcore]",
    "methods/test_coverage.py::test_memory_is_not_that_of_all_pairs",
    "methods/test_method_conformance.py::test_conformance[auto-",
    "methods/test_method_conformance.py::test_conformance[elfs-",
    "methods/test_method_conformance.py::test_conformance[prototypicality-",
    "methods/test_method_conformance.py::test_conformance[unbiased-partition-needs]",
    "methods/test_method_conformance.py::test_conformance[zcore-",
    "methods/test_unbiased_partition.py::test_each_image_is_as_likely_to_be_kept",
    "models/test_models.py::test_discovery_imports_no_heavy_library",
    "models/test_small_cnn.py::test_small_cnn_learns_digits",
    "plots/test_figures.py::test_figures_are_drawn_in_every_format_with_the_same_bytes_again",
    "report/test_data",
    "report/test_page",
    "results/test_committed",
    "results/test_pseudo_quality.py::test_needs_no_torch",
    "results/test_validation.py::test_committed_rows_of_earlier_versions_stay_valid",
    "results/test_validation.py::test_each_untruth_is_found[the row's fields mnist5k-ccs]",
    "results/test_validation.py::test_only_what_a_run_alone_can_tell_may_be_changed_unseen",
    "results/test_validation.py::test_validation_imports_neither_torch_nor_ray",
    "stages/test_dynamics",
    "stages/test_embeddings",
    "stages/test_gradients",
    "stages/test_neighbors.py::test_neighbours_of_every_k_are_cut_from_one_list",
    "stages/test_outputs.py::test_a_proxy_learns_from_what_was_revealed",
    "stages/test_outputs.py::test_outputs_depend_on_the_revealed_labels_alone",
    "stages/test_rehearsal",
    "stages/test_selection.py::test_a_coreset_is_stored_and_its_inputs_are_shared",
    "stages/test_selection.py::test_every_clustering_and_score_of_elfs_selects_by_its_own_ranking",
    "stages/test_selection.py::test_methods_that_train_networks_take_embeddings_too",
    "stages/test_selection.py::test_true_labels_cannot_reach_a_label_free_coreset",
    "stages/test_selection.py::test_true_labels_do_reach_a_supervised_coreset",
    "stages/test_session",
    "stages/test_source",
    "store/test_unfinished.py::test_a_killed_command_goes_on_within_temi",
    "test_api.py::test_a_method_of_a_script_works_in_workers_by_value",
    "test_api.py::test_a_single_file_is_a_plugin",
    "test_array_source.py::test_memory_does_not_grow_with_the_square_of_the_pool",
    "test_loading.py::test_listing_the_data_sets_imports_nothing_heavy",
    "test_original_data",
    "test_outside",
    "test_plugins",
    "test_public_api.py::test_only_a_frozen_encoder_needs_torch_and_nothing_needs_ray",
    "test_resource_usage.py::test_the_peak_is_that_of_the_block_alone",
    "test_weighted.py::test_every_model_that_learns_is_trained_with_the_weights",
    "tracking/test_trackers.py::test_a_run_that_needs_wandb_says_so_before_anything_starts",
    "tracking/test_trackers.py::test_bench_run_tracks_and_survives_a_tracker_that_fails",
    "tracking/test_trackers.py::test_wandb_offline_holds_the_table_of_rows_and_curves",
    "training/test_host_waits",
    "training/test_precision",
    "weights/test_locations.py::test_a_file_in_the_hubs_cache_is_found",
)
"""Beginnings of the names, below ``tests/``, of tests that start a process or take more than a second of the processor.

Together with those of ``LONG`` and all that use Ray they are marked ``integration``; ``make unit`` runs the others.
"""

LONG = (
    "benchmarks/test_benchmarks.py::test_every_benchmark_runs_at_a_tiny_size[compiled]",
    "benchmarks/test_benchmarks.py::test_every_benchmark_runs_at_a_tiny_size[d2_memory]",
    "benchmarks/test_benchmarks.py::test_every_benchmark_runs_at_a_tiny_size[dynamics]",
    "benchmarks/test_benchmarks.py::test_every_benchmark_runs_at_a_tiny_size[labelling]",
    "benchmarks/test_benchmarks.py::test_every_benchmark_runs_at_a_tiny_size[loop_accuracy]",
    "clustering/test_temi.py::test_bf16_clusters_as_well_from_the_same_numbers",
    "engine/test_devices.py::test_a_cell_is_the_same_twice[resnet18",
    "engine/test_isolation.py::test_a_run_beside_methods_that_write_stores_the_same_bits",
    "engine/test_run.py::test_failing_stages_are_recorded_and_the_others_finish",
    "engine/test_run.py::test_grid_then_nothing_then_only_what_is_new[ray]",
    "engine/test_transfer.py::test_every_coreset_is_selected_once_and_trains_every_model",
    "engine/test_transfer.py::test_there_is_one_table_per_model_and_it_names_the_proxy",
    "judging/test_network.py::test_a_coreset_of_all_classes_is_better_than_one_of_two",
    "judging/test_network.py::test_what_a_coreset_says_of_itself_does_not_count",
    "labelling/test_compared.py::test_without_names_the_candidates_are_those_of_auto",
    "methods/test_craig.py::test_memory_is_not_that_of_all_pairs",
)
"""Beginnings of the names of integration tests that take more than five seconds of the processor.

They are marked ``long``: CI runs them, and ``make test`` leaves them out.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Ray, a process or patience, so that ``make unit`` and ``make test`` are without it."""
    for item in items:
        uses = {"ray_session", "executor"} & set(getattr(item, "fixturenames", ()))
        name = item.nodeid.removeprefix("tests/")
        if uses or name.startswith((*INTEGRATION, *LONG)):
            item.add_marker("integration")
        if name.startswith(LONG):
            item.add_marker("long")


class _Watch:
    """Refuse a second Python while a unit test runs; what libraries ask git or ldconfig takes no time."""

    def __init__(self) -> None:
        self.unit = False
        sys.addaudithook(self.heard)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.unit and event == "subprocess.Popen" and "python" in Path(os.fsdecode(arguments[0])).name:
            raise AssertionError("a unit test started a second Python: name it in INTEGRATION (tests/conftest.py)")


_watch = _Watch()


@pytest.fixture(autouse=True)
def _no_process_in_a_unit_test(request: pytest.FixtureRequest) -> Iterator[None]:
    _watch.unit = request.node.get_closest_marker("integration") is None
    yield
    _watch.unit = False


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
