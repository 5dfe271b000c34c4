"""What errors say."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from bench.errors import BenchError, ExecutorLost, RunError, UnknownName, install_command, lower_first, nearest_file


@pytest.mark.parametrize(
    ("name", "valid", "said"),
    [
        ("css", ["aum", "ccs", "elfs"], "unknown method 'css'. Did you mean ccs? Valid: aum, ccs, elfs."),
        (
            "kmean",
            ["aum", "kcenter", "kmeans-sampling"],
            "unknown method 'kmean'. Did you mean kmeans-sampling? Valid: aum, kcenter, kmeans-sampling.",
        ),
        ("vit-b-32", ["ViT-B-32", "RN50"], "unknown method 'vit-b-32'. Did you mean ViT-B-32? Valid: RN50, ViT-B-32."),
        ("zzz", ["aum"], "unknown method 'zzz'. Valid: aum."),
        ("zzz", [], "unknown method 'zzz'. Valid: none."),
        ("zzz", map(str, range(1234)), "unknown method 'zzz'. Valid: 1,234 names."),
    ],
)
def test_an_unknown_name_gets_the_nearest_and_a_list_that_can_be_read(name: str, valid: list[str], said: str) -> None:
    assert str(UnknownName("method", name, valid)) == said


@pytest.mark.parametrize("error", [UnknownName("method", "css", ["ccs"]), ExecutorLost("Ray is gone.", final=True)])
def test_an_error_crosses_processes(error: BenchError) -> None:
    # One that cannot be read back breaks a ProcessPoolExecutor: the caller is told only that a process died.
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_else_there_is_to_say_comes_last() -> None:
    assert str(UnknownName("name", "x", ["y"], also=" Look there.")).endswith("Valid: y. Look there.")


def test_a_missing_file_gets_the_nearest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my_method.py").touch()
    (tmp_path / "photos").mkdir()
    assert nearest_file(tmp_path / "my_methd.py") == " Did you mean my_method.py?"
    assert nearest_file(tmp_path / "phots") == " Did you mean photos?"
    assert nearest_file(tmp_path / "zzz") == ""
    assert nearest_file(tmp_path / "nowhere" / "photos") == ""


def test_an_extra_is_named_in_the_command() -> None:
    assert install_command("hf") == "pip install -e '.[hf]' in a checkout of coreset-bench"
    assert install_command() == "pip install -e . in a checkout of coreset-bench"


def test_a_message_goes_into_a_sentence() -> None:
    assert lower_first("Value error, Input should be") == "input should be"
    assert lower_first("") == ""


def test_a_lost_executor_says_whether_a_fresh_start_is_worth_a_try() -> None:
    assert not ExecutorLost("all nodes are gone").final
    assert ExecutorLost("all nodes are gone", final=True).final
    assert issubclass(ExecutorLost, RunError)
