from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from bench.engine.plan import Plan, cache_problem, check_cache, check_writable, make_plan, precisions_on
from bench.engine.work import perform
from bench.errors import DataError, RowError, SpecError, WeightsError
from bench.grid.spec import load_spec
from bench.provenance import computes_bf16, device_name, git_state, processor, versions
from bench.results.facts import table_facts
from bench.results.rows import read_rows
from bench.results.tables import blocks
from bench.stages.session import Session
from bench.store.cache import Store


def plan(out: Path, *, data_root: Path | None = None, tolerant: bool = False, **given: Any) -> Plan:
    fields = {"methods": "random,elfs(heads=2)", "rates": "0.9", "pool_size": 200} | given
    return make_plan(load_spec(given=fields), out=out, data_root=data_root, tolerant=tolerant)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no encoder's weights were ever downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_a_plan_refers_to_the_content_of_the_data(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert [cell.method for cell in made.cells] == ["random", "elfs"]
    for cell in made.cells:
        assert (cell.dataset.size, cell.dataset.num_classes, cell.budget) == (200, 10, 20)
        assert len(cell.dataset.fingerprint) == 64
    assert plan(tmp_path, pool_size=201).cells[0].dataset.fingerprint != made.cells[0].dataset.fingerprint
    assert made.missing == made.cells
    assert made.problems == []
    kinds = [stage.kind for stage in made.stages(Store(tmp_path / "cache"))]
    assert kinds.index("pseudo-labels") < kinds.index("dynamics") < len(kinds) - 1


def test_an_incomplete_row_is_set_aside_and_its_cell_runs_again(tmp_path: Path) -> None:
    cell, other = plan(tmp_path).cells
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    (path.parent / "of-another-grid.json").write_text("{")
    for content in (b"", b"{", b"\0" * 4096):
        path.write_bytes(content)
        assert plan(tmp_path, tolerant=True).missing == [cell, other]
        assert path.exists(), "a dry run changes nothing"
        made = plan(tmp_path)
        assert made.missing == [cell, other]
        assert made.damaged == [tmp_path / "damaged" / path.name]
        assert made.damaged[0].read_bytes() == content
        assert not path.exists()
    assert (path.parent / "of-another-grid.json").exists()


def test_a_whole_row_that_is_not_valid_is_named_with_a_way_out(tmp_path: Path) -> None:
    cell = plan(tmp_path).cells[0]
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    path.write_text('{"schema_version": 99}')
    with pytest.raises(RowError) as caught:
        plan(tmp_path)
    assert str(path) in str(caught.value)
    assert "Delete it, and the cell is run again." in str(caught.value)
    assert path.exists()


def test_a_row_is_not_cut_where_it_cannot_be_read_at_all(tmp_path: Path) -> None:
    [cell] = plan(tmp_path, methods="random").cells
    path = tmp_path / "rows" / f"{cell.cell_id}.json"
    path.parent.mkdir()
    path.write_text("[" * 200_000)
    with pytest.raises(RowError, match="is not a valid row"):
        plan(tmp_path, methods="random")
    path.unlink()
    path.mkdir()
    with pytest.raises(RowError, match="cannot read the row"):
        plan(tmp_path, methods="random")


def test_rows_that_other_code_selected_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    given: dict[str, Any] = {"methods": "random", "recipe": {"iterations": 2, "evaluations": 1}}
    [cell] = plan(workspace.out, **given).cells
    assert perform(cell, workspace).fault is None
    assert plan(workspace.out, **given).outdated == []
    monkeypatch.setattr("bench.stages.selection.code_digest", lambda function, version: "edited")
    made = plan(workspace.out, **given, seeds=2)
    assert made.outdated == [cell.cell_id]
    [second] = made.missing
    assert perform(second, workspace).fault is None
    [block] = blocks(list(read_rows(workspace.out)))
    assert any("random were selected by different code: seed 0 at " in note.text for note in table_facts(block))


def test_a_folder_with_rows_of_another_recipe_is_refused_before_anything_runs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small: dict[str, Any] = {"methods": "random", "rates": "0.9", "pool_size": 300}
    [cell] = plan(out, **small, recipe={"iterations": 2, "evaluations": 1}).cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache")).accuracy is not None
    longer: dict[str, Any] = {**small, "recipe": {"iterations": 3, "evaluations": 1}}
    said = rf"beside these cells, {cell.cell_id} \(recipe.iterations: 2 and 3\); give another --out"
    with pytest.raises(SpecError, match=said):
        plan(out, **longer)
    assert len(plan(out, **longer, tolerant=True).problems) == 1
    assert plan(out, **{**longer, "datasets": "digits@noise=0.2"}).missing, "another data set has a table of its own"
    assert plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1}).missing, "the same recipe goes on"


WITH_BF16, WITHOUT = {"flags": "fpu avx512f avx512_bf16 amx_bf16"}, {"flags": "fpu avx2 avx512f"}


@pytest.mark.parametrize(
    ("cpu", "device", "offered"),
    [
        (WITH_BF16, "cpu", ("bf16", "fp32")),
        (WITHOUT, "cpu", ("fp32", "bf16")),
        ({}, "cpu", ("fp32", "bf16")),
        ({"Features": "fp asimd bf16"}, "cpu", ("fp32", "bf16")),
        (WITHOUT, "cuda", ("bf16", "tf32", "fp32")),
    ],
    ids=["x86 with bf16", "x86 without", "not Linux", "ARM", "GPU"],
)
def test_auto_is_bf16_where_the_device_computes_it(
    cpu: dict[str, str], device: str, offered: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.engine.plan.processor", lambda: cpu)
    assert precisions_on(device) == offered
    spec = load_spec(given={"methods": "aum", "rates": "0.9", "pool_size": 200})
    [cell] = make_plan(spec, out=None, device=device).cells
    assert cell.proxy is not None
    assert [cell.recipe.precision, cell.proxy.recipe.precision] == [offered[0]] * 2
    asked = spec.model_copy(update={"recipe": {"precision": "fp32"}})
    assert make_plan(asked, out=None, device=device).cells[0].recipe.precision == "fp32"
    if "tf32" not in offered:
        with pytest.raises(SpecError, match=r"tf32 needs a GPU of the Ampere .* valid here: auto, bf16, fp32\."):
            make_plan(spec.model_copy(update={"recipe": {"precision": "tf32"}}), out=None, device=device)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo")
def test_what_the_system_says_of_the_processor_is_read() -> None:
    found = processor()
    assert found["processor"] == "0"
    text = Path("/proc/cpuinfo").read_text()
    assert all(value in text for value in found.values())
    assert computes_bf16(found) == ("avx512_bf16" in text)


def test_a_row_of_another_precision_is_joined_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    small: dict[str, Any] = {"methods": "random", "rates": "0.9", "pool_size": 300}
    monkeypatch.setattr("bench.engine.plan.processor", lambda: WITHOUT)
    [cell] = plan(out, **small, recipe={"iterations": 2, "evaluations": 1}).cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache")).accuracy
    monkeypatch.setattr("bench.engine.plan.processor", lambda: WITH_BF16)
    said = rf"{cell.cell_id} \(recipe.precision: 'fp32' and 'bf16'\); give another --out, or --recipe precision=fp32\."
    with pytest.raises(SpecError, match=said):
        plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1})
    with pytest.raises(SpecError, match=r"precision: .*give another --out\.$"):
        plan(out, **small, seeds=2, recipe={"iterations": 3, "evaluations": 1})
    made = plan(out, **small, seeds=2, recipe={"iterations": 2, "evaluations": 1, "precision": "fp32"})
    assert made.finished == {cell.cell_id}


def test_a_folder_with_rows_of_other_data_or_another_proxy_is_refused_before_anything_runs(tmp_path: Path) -> None:
    out, data = tmp_path / "out", tmp_path / "photos"
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (number, 20, 30 if name == "cat" else 90)).save(data / name / f"{number}.png")
    recipe = {"iterations": 2, "batch_size": 4, "evaluations": 1, "crop_padding": 2}
    grid: dict[str, Any] = {"datasets": "folder(size=8)", "rates": "0.5", "models": "small_cnn", "recipe": recipe}
    grid |= {"pool_size": None, "data_root": data}
    [cell] = plan(out, **grid, methods="random").cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache", data_root=data)).accuracy is not None
    Image.new("RGB", (8, 8), (200, 20, 30)).save(data / "cat" / "new.png")
    with pytest.raises(SpecError, match=rf"{cell.cell_id} \(pool_size: .* fingerprint: .*give another --out"):
        plan(out, **grid, methods="aum")
    [row] = (out / "rows").glob("*.json")
    row.unlink()
    [cell] = plan(out, **grid, methods="random").cells
    assert perform(cell, Session(out=out, cache=tmp_path / "cache", data_root=data)).accuracy is not None
    [row] = (out / "rows").glob("*.json")
    row.write_text(row.read_text().replace('"proxy_model": "-"', '"proxy_model": "resnet18"'))
    with pytest.raises(SpecError, match="proxy_model: 'resnet18' and 'small_cnn'"):
        plan(out, **grid, methods="aum")


@pytest.mark.usefixtures("no_weights")
def test_a_dry_run_without_the_data_or_the_weights_finds_no_fault_with_rows_made_with_them(tmp_path: Path) -> None:

    data = tmp_path / "data" / "photos"
    for name, blue in (("cat", 30), ("dog", 90)):
        (data / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (number, 20, blue)).save(data / name / f"{number}.png")
    weights = tmp_path / "resnet18.pth"
    torch.save(resnet18().state_dict(), weights)
    recipe = {"iterations": 2, "batch_size": 4, "evaluations": 1, "crop_padding": 2}
    grid: dict[str, Any] = {"methods": "prototypicality", "rates": "0.5", "models": "small_cnn", "recipe": recipe}
    grid |= {"datasets": "folder(size=8)", "pool_size": None, "data_root": data}
    out, encoder = tmp_path / "out", "resnet18_imagenet(size=32{})"
    made = plan(out, **grid, encoders=encoder.format(f",weights={weights}"))
    workspace = Session(out=out, cache=tmp_path / "cache", data_root=data, weights=made.weights)
    assert perform(made.cells[0], workspace).accuracy is not None
    grid["encoders"] = encoder.format("")
    without = plan(out, **grid, tolerant=True)
    assert [problem.split()[0] for problem in without.problems] == ["encoder"]
    without = plan(out, **{**grid, "data_root": tmp_path / "nowhere"}, tolerant=True)
    assert [problem.split()[0] for problem in without.problems] == ["dataset", "encoder"]
    longer: dict[str, Any] = {**grid, "data_root": tmp_path / "nowhere", "recipe": {**recipe, "iterations": 3}}
    assert "recipe.iterations: 2 and 3)" in plan(out, **longer, tolerant=True).problems[-1], "what is known counts"


def test_a_refused_plan_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        plan(tmp_path / "runs" / "out", datasets="cifar10")
    assert list(tmp_path.iterdir()) == []


def test_missing_data_say_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset cifar10: no data folder was given\. Use --data-root DIR"):
        plan(tmp_path / "out", datasets="cifar10")
    root = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        plan(tmp_path / "out", datasets="cifar10", data_root=root)
    assert f"{root / 'cifar-10-batches-py'}" in str(caught.value)
    assert "--download" in str(caught.value)
    with pytest.raises(DataError, match="pool_size=5000 is not valid: the training split has 1438 images"):
        plan(tmp_path / "out", pool_size=5000)


@pytest.mark.usefixtures("no_weights")
def test_missing_weights_say_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        plan(tmp_path, encoders="swav_resnet50")
    for words in ("'swav_resnet50' needs", "--download", "swav_resnet50(weights=FILE)", "pixels"):
        assert words in str(caught.value)
    with pytest.raises(WeightsError, match="weights=/no/such/file is not a file"):
        plan(tmp_path, encoders="swav_resnet50(weights=/no/such/file)")
    with pytest.raises(WeightsError, match="cannot read the weights file /proc/self/mem: Input/output error"):
        plan(tmp_path, encoders="swav_resnet50(weights=/proc/self/mem)")
    with pytest.raises(WeightsError, match="'pixels' has no weights"):
        plan(tmp_path, encoders="pixels(weights=/no/such/file)")
    assert plan(tmp_path, methods="random", encoders="swav_resnet50").problems == []


@pytest.mark.usefixtures("no_weights")
def test_a_dry_run_collects_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path / "out", datasets="digits,cifar10", encoders="swav_resnet50", tolerant=True)
    assert [problem.split()[0] for problem in made.problems] == ["dataset", "encoder"]
    assert [(cell.dataset.name, cell.method) for cell in made.cells] == [
        ("digits", "random"),
        ("digits", "elfs"),
        ("cifar10", "random"),
        ("cifar10", "elfs"),
    ]
    assert made.stages(Store(tmp_path / "cache"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(SpecError, match="unknown method"):
        plan(tmp_path / "out", methods="elsf", tolerant=True)


def test_a_weights_file_is_part_of_the_cell_and_one_encoder_has_one(tmp_path: Path) -> None:
    first, copy = tmp_path / "first.pth", tmp_path / "copy.pth"
    torch.save(resnet18().state_dict(), first)
    shutil.copyfile(first, copy)
    made = plan(tmp_path, encoders=f"resnet18_imagenet(weights={first})")
    encoder = made.cells[-1].encoder
    assert encoder is not None
    assert len(encoder.weights_sha256) == 64
    assert encoder.params == {}
    assert made.weights == {"resnet18_imagenet": first.resolve()}
    with pytest.raises(SpecError, match="resnet18_imagenet is given with two weights files"):
        plan(tmp_path, encoders=f"resnet18_imagenet(weights={first}),resnet18_imagenet(weights={copy})")


def test_names_are_checked_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="unknown method"):
        plan(tmp_path / "out", methods="elsf")
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=r"cannot write to .*file: it is a file, not a folder\."):
        plan(tmp_path / "file")
    for out, problem in ((tmp_path / "file" / "below", "it is a file"), (Path("s3://bucket/rows"), "give a folder")):
        assert any(problem in told for told in plan(out, tolerant=True).problems)
    with pytest.raises(SpecError, match="Not a directory"):
        check_writable(tmp_path / "file" / "below")
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_cache_that_is_closed_to_this_user_is_refused_before_the_start(tmp_path: Path, plain_user: None) -> None:
    for mode in (0, 0o500):
        (tmp_path / "cache" / "dynamics").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / "dynamics").chmod(mode)
        with pytest.raises(SpecError, match=r"closed to this one, .*: dynamics\. Give a --cache-dir"):
            check_cache(tmp_path / "cache")
        assert "dynamics" in cache_problem(tmp_path / "cache")
    (tmp_path / "cache" / "dynamics").chmod(0o700)
    check_cache(tmp_path / "cache")
    (tmp_path / "cache").chmod(0o300)
    assert "cannot read the cache" in cache_problem(tmp_path / "cache")
    (tmp_path / "cache").chmod(0)
    with pytest.raises(SpecError, match=r"cannot write to .*Permission denied.*--cache-dir names another"):
        check_cache(tmp_path / "cache" / "below")
    (tmp_path / "cache").chmod(0o700)


def test_a_source_file_that_git_does_not_track_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr("bench.__file__", str(tmp_path / "bench" / "__init__.py"))
    changed = git_state.__wrapped__
    assert changed()[1] is False
    (tmp_path / "notes.txt").touch()
    assert changed()[1] is False, "no code"
    (tmp_path / "mine.py").touch()
    assert changed()[1] is True


def test_the_revision_of_a_repository_that_the_harness_is_installed_in_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / ".venv" / "bench"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text(".venv\n")
    for command in (["init"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-m", "mine"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    monkeypatch.setattr("bench.__file__", str(package / "__init__.py"))
    assert git_state.__wrapped__() == ("", False)


def test_provenance_names_software_and_hardware() -> None:
    found = versions()
    assert {"python", "coreset-bench", "torch", "numpy", "ray"} <= set(found)
    assert all(text[0].isdigit() for text in found.values())
    assert device_name("cpu").startswith("cpu (")
    assert device_name("cpu").endswith(f", {torch.backends.cpu.get_cpu_capability()})")
    revision, dirty = git_state()
    assert len(revision) in (0, 40)
    assert isinstance(dirty, bool)
