"""What the Tab key offers: by bash itself, and as the command answers bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.plugins import methods

pytestmark = pytest.mark.integration

BASH = shutil.which("bash")
FOLDER = Path(sys.executable).parent


def press_tab(*words: str) -> list[str]:
    """What bash offers when Tab is pressed behind the last word."""
    if BASH is None or not (FOLDER / "bench").exists():
        pytest.skip("needs bash and the bench command")
    script = f'eval "$(bench --show-completion bash)"\nCOMP_WORDS=("$@") COMP_CWORD={len(words) - 1}\n'
    script += "_bench_completion bench\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    environment = {**os.environ, "PATH": f"{FOLDER}{os.pathsep}{os.environ['PATH']}", "SHELL": BASH}
    done = subprocess.run(
        [BASH, "-c", script, "bash", *words], capture_output=True, text=True, timeout=500, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def answer(*words: str) -> list[str]:
    """What the command answers when bash asks it, in this process."""
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1), "_BENCH_COMPLETE": "complete_bash"}
    done = CliRunner().invoke(app, prog_name="bench", env=asked)
    assert done.exit_code == 0, done.output
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("run", "--methods", "d2"), ["d2", "d2-label-free"]),
        (("run", "--datasets", "digits,med"), ["digits,medmnist"]),
        (("run", "--encoders", "dinov2"), ["dinov2_vits14"]),
        (("run", "--models", "small_cnn,resnet3"), ["small_cnn,resnet34"]),
        (("run", "--preset", "paper-c"), ["paper-cifar10", "paper-cifar100"]),
        (("run", "--track", "wandb,"), ["wandb,tensorboard"]),
        (("select", "--encoder", "clip"), ["clip_vitb32"]),
        (("select", "--method", "el"), ["elfs"]),  # el2n reads labels
        (("train", "--dataset", "st"), ["stl10"]),
        (("check", "zc"), ["zcore"]),
        (("plot", "ac"), ["accuracy"]),
        (("run", "--device", "c"), ["cpu", "cuda"]),
    ],
)
def test_names_are_offered(words: tuple[str, ...], offered: list[str]) -> None:
    assert answer("bench", *words) == offered


def test_bash_offers_what_the_command_answers() -> None:
    words = ("bench", "run", "--methods", "elfs,d2(k=5),e")
    assert press_tab(*words) == answer(*words) == ["elfs,d2(k=5),el2n", "elfs,d2(k=5),entropy"]


def test_every_method_is_offered_and_nothing_inside_a_call() -> None:
    assert press_tab("bench", "run", "--methods", "") == [entry.name for entry in methods]
    assert press_tab("bench", "run", "--methods", "ccs(be") == []


def test_completing_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from bench.cli import _complete\n"
        "assert _complete.several('methods')('elfs,') and _complete.presets('') and _complete.label_free('')\n"
        "assert all(_complete.one_of(kind)('') for kind in ('datasets', 'encoders', 'models'))\n"
        "heavy = {'torch', 'torchvision', 'ray', 'pandas', 'sklearn', 'scipy', 'faiss', 'timm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == "[]"
