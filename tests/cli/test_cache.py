from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import SpecError
from bench.store.cache import Store


class Named:
    kind = "numbers"

    def __init__(self, key: str) -> None:
        self.key = key

    def describe(self) -> dict[str, str]:
        return {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for key in ("a" * 64, "b" * 64):
        Store(tmp_path).get(Named(key), lambda: {"x": np.zeros(5000, dtype=np.uint8)})
    return tmp_path


def bench(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cache", *arguments, "--cache-dir", str(folder)])
    if isinstance(done.exception, SpecError):
        raise done.exception
    return done.exit_code, done.output


def test_list_sums_up_and_shows_each(folder: Path) -> None:
    code, text = bench(folder, "list")
    assert code == 0
    assert text.splitlines()[2].split()[:2] == ["numbers", "2"]
    assert text.splitlines()[-1].startswith("2 artifacts, ")
    code, text = bench(folder, "list", "--long")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("numbers")] == ["a" * 12, "b" * 12]
    assert bench(folder / "empty", "list") == (0, f"0 artifacts, 0 B, in {folder / 'empty'}\n")


def test_verify_names_what_is_damaged_and_prune_deletes_it(folder: Path) -> None:
    code, text = bench(folder, "verify")
    assert (code, text.endswith(": 0 damaged.\n")) == (0, True)
    arrays = folder / "numbers" / f"{'b' * 64}.npz"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    code, text = bench(folder, "verify")
    assert code == 1
    assert f"damaged: numbers {'b' * 64}: the checksum does not match" in text
    assert "1 damaged" in text
    code, text = bench(folder, "prune", "--damaged", "--dry-run")
    assert (code, arrays.exists()) == (0, True)
    assert "would delete numbers bbbbbbbbbbbb" in text
    assert bench(folder, "prune", "--damaged")[0] == 0
    assert not arrays.exists()
    assert bench(folder, "verify")[0] == 0
    assert Named("a" * 64) in Store(folder)


def test_prune_wants_to_be_told_what(folder: Path) -> None:
    with pytest.raises(SpecError, match="say what to delete"):
        bench(folder, "prune")
    with pytest.raises(SpecError, match="say what to delete"):
        bench(folder, "prune", "--all", "--max-size", "1GB")
    with pytest.raises(SpecError, match="no artifacts of kind 'selections'; it has numbers"):
        bench(folder, "prune", "--all", "--kind", "selections")
    assert "0 artifacts, 0 B, deleted" in bench(folder, "prune", "--unused-for", "1d")[1]
    assert "1 artifact, " in bench(folder, "prune", "--max-size", "6kB")[1]
    assert "1 artifact, " in bench(folder, "prune", "--all")[1]
    assert not any(path.is_file() for path in folder.rglob("*"))


def test_what_another_user_closed_is_neither_whole_nor_damaged(folder: Path, plain_user: None) -> None:
    arrays = folder / "numbers" / f"{'b' * 64}.npz"
    arrays.chmod(0)
    code, text = bench(folder, "verify")
    assert code == 1
    assert f"unreadable: numbers {'b' * 64}: Permission denied" in text
    assert text.splitlines()[-1].endswith(": 0 damaged, 1 cannot be read.")
    [unreadable] = json.loads(bench(folder, "verify", "--json")[1])["unreadable"]
    assert (unreadable["key"], unreadable["reason"]) == ("b" * 64, "Permission denied")
    assert "0 artifacts, 0 B, deleted" in bench(folder, "prune", "--damaged")[1]
    assert arrays.exists(), "it may be whole"
    (folder / "numbers").chmod(0)
    for command, expected in (("list", 0), ("verify", 1)):
        code, text = bench(folder, command)
        assert code == expected
        assert "Not examined, since this user may not read them: numbers" in text
        assert json.loads(bench(folder, command, "--json")[1])["closed"] == ["numbers"]
    (folder / "numbers").chmod(0o500)
    code, text = bench(folder, "prune", "--all")
    assert code == 1
    assert f"not deleted: numbers {'a' * 64}: Permission denied" in text
    assert len(json.loads(bench(folder, "prune", "--all", "--json")[1])["refused"]) == 2
    folder.chmod(0)
    with pytest.raises(SpecError, match=r"cannot read the cache folder .*: Permission denied"):
        bench(folder, "verify")
    for path in (folder, folder / "numbers"):
        path.chmod(0o700)


def test_verify_names_an_artifact_in_the_place_of_another(folder: Path) -> None:
    for suffix in (".npz", ".json"):
        (folder / "numbers" / f"{'b' * 64}{suffix}").write_bytes(
            (folder / "numbers" / f"{'a' * 64}{suffix}").read_bytes()
        )
    code, text = bench(folder, "verify")
    assert code == 1
    assert f"damaged: numbers {'b' * 64}: the record is of numbers {'a' * 64}" in text


@pytest.mark.timeout(60)  # a pipe that is opened is waited for
@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_pipe_in_the_place_of_an_artifact_is_not_waited_for(folder: Path, suffix: str) -> None:
    path = folder / "numbers" / f"{'b' * 64}{suffix}"
    path.unlink()
    os.mkfifo(path)
    assert bench(folder, "list", "--long")[0] == 0
    code, text = bench(folder, "verify")
    assert code == 1
    assert f"unreadable: numbers {'b' * 64}: it is a named pipe, not a regular file" in text
