"""The installed ``bench`` command in a process of its own, up to where Ray would start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app, main
from bench.cli._command import Command
from bench.cli.cache import cache
from bench.errors import SpecError
from tests.narrowing import present

BENCH = shutil.which("bench", path=str(Path(sys.executable).parent)) or shutil.which("bench")


OF_THE_USER = ("BENCH_", "TORCH_HOME", "HF_")
"""Beginnings of the names of variables that say where a user's data and weights are."""
WIDE = CliRunner(env={"COLUMNS": "250", "NO_COLOR": "1"})
"""Commands in this process, where a process of their own would show nothing more."""


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


def run(folder: Path, *arguments: str, columns: int = 250) -> subprocess.CompletedProcess[str]:
    """Run ``bench`` in ``folder`` without the settings of this machine's user."""
    if BENCH is None:
        pytest.skip("the bench command is not installed in this environment")
    own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), "COLUMNS": str(columns), "NO_COLOR": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OF_THE_USER)}
    return subprocess.run(
        [BENCH, *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=folder,
        env=kept | own | {"OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(folder / "ray")},
    )


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True).stdout


def test_help_of_every_command(tmp_path: Path) -> None:
    overview = run(tmp_path, "--help")
    assert overview.returncode == 0
    for command in ("run", "table", "leaderboard", "list", "export", "validate", "schema"):
        assert command in overview.stdout
        done = WIDE.invoke(app, [command, "-h"], prog_name="bench")
        assert done.exit_code == 0, done.output
        assert "Usage: bench" in done.stdout
    options = WIDE.invoke(app, ["run", "--help"]).stdout
    for option in ("--methods", "--rates", "--data-root", "--dry-run", "--gpus-per-trial", "BENCH_CACHE_DIR"):
        assert option in options


def test_help_and_listing_import_nothing_heavy() -> None:
    loaded = python(
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bench.cli import app\n"
        "runner = CliRunner()\n"
        "assert runner.invoke(app, ['--help']).exit_code == 0\n"
        "assert runner.invoke(app, ['run', '--help']).exit_code == 0\n"
        "for kind in ('methods', 'datasets', 'encoders', 'models'):\n"
        "    assert runner.invoke(app, ['list', kind]).exit_code == 0\n"
        "heavy = {'torch', 'torchvision', 'ray', 'pandas', 'sklearn', 'scipy', 'faiss', 'timm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("methods", ["elfs", "ccs", "d2-label-free", "pseudo", "heads=50", "arXiv:2210.15809"]),
        ("datasets", ["digits", "cifar100", "from disk", "resnet34, 300000 iterations, proxy 60 epochs"]),
        ("encoders", ["pixels", "components=64", "dino_vitb16", "self-supervised"]),
        ("models", ["small_cnn", "linear_probe", "embeddings", "stem=auto"]),
    ],
)
def test_listings_show_names_parameters_and_sources(kind: str, names: list[str]) -> None:
    done = WIDE.invoke(app, ["list", kind])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.replace("│", " ").split())
    for name in names:
        assert name in text or name in done.stdout


BAD_INPUT = [
    (("--methods", "elsf"), "unknown method 'elsf'. Did you mean elfs"),
    (("--rates", "1.5"), "rates (from the command line): input should be less than 1, got 1.5."),
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


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run(tmp_path, "run", "--methods", "random", "--device", "cuda")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: --device cuda was given, but torch sees no GPU on this machine; leave it out, or use cpu.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--outt", "x"), "unknown option of bench run '--outt'. Did you mean --out? Valid: --address, "),
        (("run", "--bogus"), "unknown option of bench run '--bogus'. Valid: --address, "),
        (("cache", "prune", "-z"), "unknown option of bench cache prune '-z'. Valid: --all, --cache-dir, "),
        (("--versoin",), "unknown option of bench '--versoin'. Did you mean --version? Valid: --help, "),
        (("run", "--cpus-per-trial", "0"), "--cpus-per-trial 0 is not valid: input should be greater than or equal to"),
        (("select", "--budget", "many"), "--budget many is not valid: input should be a valid integer"),
        (("run", "--executor", "rey"), "unknown --executor of bench run 'rey'. Did you mean ray? Valid: local, ray."),
        (("lst",), "unknown command of bench 'lst'. Did you mean list? Valid: cache, check, "),
        (("cache", "lst"), "unknown command of bench cache 'lst'. Did you mean list? Valid: list, prune, verify."),
        (("list", "method"), "unknown kind of bench list 'method'. Did you mean methods? Valid: datasets, "),
        (("list", "methods", "elfs"), "bench list: got unexpected extra argument(s) (elfs); bench list -h shows what"),
        (("table",), "bench table needs folders; bench table -h shows what it takes."),
        (("run", "--rates"), "bench run: option '--rates' requires an argument; bench run -h shows what it takes."),
        (("run", "--dry-run=1"), "bench run: option '--dry-run' does not take a value; bench run -h shows what it"),
    ],
)
def test_wrong_usage_is_one_line_that_names_what_is_valid(arguments: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(app, arguments, prog_name="bench")
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).startswith(says)
    assert "\n" not in str(done.exception)


def test_wrong_usage_looks_like_every_other_error(tmp_path: Path) -> None:
    done = run(tmp_path, "list", "methods", "--json", "--bogus", columns=40)
    assert done.returncode == 2
    said = "unknown option of bench list '--bogus'. Valid: --cache-dir, --help, --json, --markdown, --search, -h."
    assert done.stderr == f"Error: {said}\n"
    assert json.loads(done.stdout) == {"error": said, "kind": "UnknownName", "exit_code": 2}


@pytest.mark.parametrize("group", [[], ["cache"]])
def test_a_group_without_a_command_shows_its_help(group: list[str]) -> None:
    done = CliRunner().invoke(app, group, prog_name="bench")
    assert done.exit_code == 2
    assert "Commands" in done.output
    assert f"Usage: {' '.join(['bench', *group])} [OPTIONS]" in done.output


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


def test_the_module_is_the_command() -> None:
    assert "Usage: " in python(
        "import sys, runpy; sys.argv = ['bench', '-h']\nrunpy.run_module('bench', run_name='__main__')"
    )


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


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--recipe", "run --recipe iterations=3 --recipe batch_size=4"),
        ("--track", "run --track wandb --track tensorboard"),
        ("--format", "plot accuracy nowhere --format png --format svg"),
        ("--baseline", "compare nowhere --baseline random --baseline=ccs"),
        ("--kind", "cache list --kind selection --kind dynamics"),
    ],
)
def test_an_option_of_one_value_is_not_given_twice(option: str, words: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).startswith(f"{option} was given 2 times; ")


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ("run --recipe iterations=3 --recipe=batch_size=4", "write --recipe iterations=3,batch_size=4."),
        ("plot accuracy nowhere --format png --format svg", "write --format png,svg."),
        ("run --time-limit 2h --time-limit 3h", "it takes one value."),
    ],
)
def test_an_option_that_takes_a_list_shows_the_form_that_works(words: str, form: str) -> None:
    assert str(CliRunner().invoke(app, words.split()).exception).endswith(f" was given 2 times; {form}")


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


def test_a_flag_says_the_same_twice() -> None:
    assert CliRunner().invoke(app, ["list", "methods", "--json", "--json"]).exit_code == 0


def test_every_command_refuses_an_option_given_twice() -> None:
    commands = [*app.registered_commands, *cache.registered_commands]
    assert {item.cls for item in commands} == {Command}


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_output_of_another_encoding_has_question_marks(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback before: case F18 of 2026-11-28."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    folder = Path(__file__).parents[2] / "results" / "digits-demo"
    done = subprocess.run(
        [present(BENCH), "table", str(folder), "--out", str(tmp_path)], capture_output=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout or b"\xb1" in done.stdout
    assert (tmp_path / "accuracy.md").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    """Case F26 of 2026-11-28."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [present(BENCH), "schema", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write to standard output: No space left on device. All files are written.\n"
