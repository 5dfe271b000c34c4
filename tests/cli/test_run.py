"""``bench run`` up to where work would start: bad input and dry runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app, main
from tests.cli.commands import OF_THE_USER, run

pytestmark = pytest.mark.integration


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seconds in which a dry run tries how long the work would take."""
    monkeypatch.setattr("bench.engine.probe.SECONDS", -1.0)


@pytest.fixture
def nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that this process works in, without the settings of this machine's user."""
    for name in [name for name in os.environ if name.startswith(OF_THE_USER)]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": "", "XDG_CACHE_HOME": ".cache", "RAY_TMPDIR": "ray"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD_INPUT = [
    (("--methods", "elsf"), "unknown method 'elsf'. Did you mean elfs"),
    (("--rates", "1.5"), "rates (from the command line): a rate is the fraction of the pool that is removed"),
    (("--rates", "90"), "got '90'; if percent was meant, write 0.9."),
    (("--datasets", "folder(pth=x)"), "unknown parameter of dataset 'folder': 'pth'. Did you mean path"),
    (("--methods", "ccs(beta=0.95)", "--rates", "0.9"), "method ccs: beta=0.95 is not valid at rate 0.9"),
    (("--datasets", "cifar10", "--data-root", "nowhere"), "cifar-10-batches-py/data_batch_1 is missing"),
    (("--methods", "elfs", "--encoders", "dino_vitb16"), "dino_vitb16(weights=FILE)"),
    (("--preset", "paper-cifar"), "unknown preset 'paper-cifar'. Did you mean paper-cifar"),
    (("--config", "bad.yaml"), "bad.yaml is not valid YAML"),
    (("--methods", "random", "--device", "gpu"), "device 'gpu' is not valid; valid: auto, cpu, cuda."),
    (("--recipe", "iteration=3"), "recipe (from the command line): unknown field 'iteration'. Did you mean iterations"),
    (("--methods", "random", "--out", "bad.yaml"), "cannot write to bad.yaml: it is a file, not a folder."),
]


@pytest.mark.parametrize(("arguments", "says"), BAD_INPUT)
def test_bad_input_is_one_line_before_anything_starts(
    nobodys: Path,
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process; ``test_programs`` has the exit codes of commands in theirs."""
    (nobodys / "bad.yaml").write_text("methods: [ccs")
    monkeypatch.setattr(sys, "argv", ["bench", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.startswith("Error: ")
    assert says in line
    assert said.out == ""
    assert not (nobodys / "ray").exists()
    assert not list(nobodys.glob("runs/default/*"))


def test_a_gpu_that_is_not_there(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--methods", "random", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "Error: --device cuda was given, but torch sees no GPU on this machine; leave it out, or use cpu.\n"
    )


@pytest.mark.usefixtures("untimed")
def test_a_dry_run_shows_cells_stages_and_what_would_stop_it(nobodys: Path) -> None:
    words = ["run", "--dry-run", "--methods", "full,elfs(heads=2)", "--rates", "0.9", "--datasets", "digits,cifar10"]
    words += ["--encoders", "pixels", "--models", "small_cnn", "--device", "cpu", "--out", "new [folder]"]
    done = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(app, words)
    assert done.exit_code == 2, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "digits: 1,438 images of 10 classes (0, 1, ..., 9) with 139 to 146 each; 359 test images"
    assert lines[1] == f"4 cells, 0 with a row in {nobodys / 'new [folder]'} already:"
    assert [line.rpartition("-")[0].strip() for line in lines[2:6]] == [
        "to run  digits-full-none-r0-s0-small_cnn",
        "to run  digits-elfs-pixels-r90-s0-small_cnn",
        "to run  cifar10-full-none-r0-s0-small_cnn",
        "to run  cifar10-elfs-pixels-r90-s0-small_cnn",
    ]
    assert "shared stages to compute, each once: " in lines[6]
    clustered = "  temi(epochs=200, heads=2, num_clusters=10) pseudo-labels of digits by pixels, seed 0 (memory "
    assert any(line.startswith(clustered) for line in lines)
    assert any(line.startswith("Cells: up to ") and "of memory each, of " in line for line in lines)
    assert lines[-2] == "Cells whose data or weights were not found cannot be matched to finished rows yet."
    assert lines[-1].startswith("A run would stop here: dataset cifar10: no data folder was given.")
    assert [item.name for item in nobodys.iterdir() if not item.name.startswith(".")] == []


@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize(
    ("given", "unidentified"),
    [
        ("--methods random --models torchvision(name=resnet18,pretrained={}/text.pth)", False),
        ("--methods random --models torchvision(name=resnet18,pretrained={}/none.pth)", True),
        ("--methods kcenter --encoders resnet18_imagenet(weights={}/none.pth)", True),
        ("--methods random,indices(of={}/none.npy)", False),
    ],
)
def test_a_dry_run_says_that_cells_have_no_identity_only_where_they_have_none(
    tmp_path: Path, given: str, unidentified: bool
) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    words = f"run --dry-run --datasets digits --rates 0.9 --device cpu --out {tmp_path / 'out'}".split()
    done = CliRunner().invoke(app, [*words, *given.format(tmp_path).split()])
    assert done.exit_code == 2
    assert done.output.count("A run would stop here: ") == 1
    assert ("cannot be matched to finished rows yet" in done.output) == unidentified


def test_a_run_of_nothing_named_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "run")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "Error: nothing to compare was named: try --methods elfs,random, --preset demo, or --config FILE."
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("untimed")
def test_an_option_given_twice_says_what_one_list_would(tmp_path: Path) -> None:
    def cells(*arguments: str) -> list[dict[str, object]]:
        places = ("--out", str(tmp_path / "new"), "--cache-dir", str(tmp_path / "cache"))
        common = ("run", "--dry-run", "--json", "--datasets", "digits", "--device", "cpu", *places)
        done = CliRunner().invoke(app, [*common, *arguments])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["cells"]

    once = cells("--methods", "random,aum", "--rates", "0.5,0.9", "--seeds", "1,2")
    repeated = ("--methods", "random", "--methods", "aum", "--rates", "0.5", "--rates", "0.9", "--seeds", "1")
    assert cells(*repeated, "--seeds", "2") == once
    assert len(once) == 8
    assert cells("--methods", "random,aum", "--rates", "0.5,0.9", "--seeds", "1,", "--seeds", "2,") == once


@pytest.mark.usefixtures("untimed")
def test_a_dry_run_that_may_download_names_what_it_would_fetch(tmp_path: Path) -> None:
    words = "run --methods elfs --datasets cifar10 --encoders dino_vits16 --rates 0.9 --dry-run --json"
    places = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path)]
    found = {}
    for download in ([], ["--download"]):
        done = CliRunner().invoke(app, [*words.split(), *places, *download])
        document = json.loads(done.output)
        found[bool(download)] = (done.exit_code, document["downloads"], len(document["problems"]))
    assert found[False] == (2, [], 2)
    code, downloads, problems = found[True]
    assert (code, problems) == (0, 0)
    assert downloads[0] == f"data set cifar10: its files that are missing below {tmp_path / 'data'}"
    assert downloads[1].startswith("weights of dino_vits16: ")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("quiet", "said"), [((), True), (("--quiet",), False)])
def test_a_terminal_says_at_once_what_takes_seconds(
    nobodys: Path, untimed: None, quiet: tuple[str, ...], said: bool
) -> None:
    asked = ["run", "--methods", "random", "--datasets", "digits", "--dry-run", *quiet]
    shown = CliRunner(env={"FORCE_COLOR": "1"}).invoke(app, asked).output
    assert ("Checking the grid, the data sets and this machine" in shown) is said
    assert "Checking the grid" not in CliRunner().invoke(app, asked).output, "a file holds no passing states"
