from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from bench.engine.plan import cache_problem, check_cache, check_writable, make_plan, precisions_on
from bench.errors import DataError, SpecError, WeightsError
from bench.grid.spec import load_spec
from bench.stages.session import Session
from bench.store.cache import Store
from tests.engine.plans import WITH_BF16, WITHOUT, plan


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


def test_the_stages_of_a_noisy_data_set_have_estimates(tmp_path: Path) -> None:
    """Even if the grid has no clean version, whose images stages without labels work on."""
    made = plan(tmp_path, methods="kcenter,aum", datasets="digits@noise=0.2")
    stages = made.stages(Session(out=tmp_path, cache=tmp_path / "cache").store)
    assert {stage.pool.label for stage in stages} == {
        "digits(pool_size=200)",
        "digits(pool_size=200)@noise=0.2",
    }
    assert all(made.memory(stage) for stage in stages)


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
