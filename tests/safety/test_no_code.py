"""Nothing that is read back can run code: not in the sources, and not when somebody tries."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.datasets._cifar_files import load_plain, read_batch, unpack
from bench.errors import BenchError, DataError, WeightsError
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.results.published import read_indices
from bench.weights.checkpoints import read_state
from tests.sources import SOURCES, functions_and_calls

FORBIDDEN = {
    *("eval", "exec", "compile", "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "joblib.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle", "extractall", "os.system"),
}
NEEDED = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._sprung),)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


def unsafe(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name in FORBIDDEN or name.rpartition(".")[2] in {"extractall", "read_pickle", "unsafe_load"}:
        return True
    if any(word.arg == "shell" for word in call.keywords):
        return True
    if name not in NEEDED:
        return False
    argument, value = NEEDED[name]
    given = [
        word.value.value for word in call.keywords if word.arg == argument and isinstance(word.value, ast.Constant)
    ]
    return given != [value]


def test_the_sources_read_nothing_that_could_run() -> None:
    assert len(SOURCES) > 80
    calls = [(path, node) for path, node in functions_and_calls() if isinstance(node, ast.Call)]
    found = [f"{path}: {ast.unparse(call)}" for path, call in calls if unsafe(call)]
    assert found == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("eval(text)", True),
        ("np.load(path)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("torch.load(path)", True),
        ("tar.extractall(root)", True),
        ("yaml.safe_load(text)", False),
        ("subprocess.run(line, shell=True)", True),
        ("model.eval()", False),
    ],
)
def test_the_search_of_the_sources_finds_what_it_should(line: str, expected: bool) -> None:
    [call] = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    assert unsafe(call) is expected


def test_the_trap_works(sprung: Path) -> None:
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.is_dir()


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_batch_of_images_cannot_call_anything(sprung: Path, protocol: int) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"it names (posix|nt)\.mkdir, which no batch of images needs"):
        load_plain(pickle.dumps({"data": Trap(sprung)}, protocol=protocol))
    assert not sprung.exists()


def test_a_batch_of_images_holds_arrays_and_plain_values() -> None:
    batch: dict[str, Any] = {"data": np.arange(12, dtype=np.uint8).reshape(2, 6), "labels": [1, 2], "batch_label": "a"}
    # As NumPy 1 and Python 2 wrote the originals.
    content = pickle.dumps(batch, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    try:
        read = load_plain(content)
    except pickle.UnpicklingError as error:
        # Python 3 writes an array's bytes as a call of _codecs.encode, which the originals do not hold.
        assert "_codecs.encode" in str(error)  # noqa: PT017
        read = load_plain(pickle.dumps(batch, protocol=3))
    assert np.array_equal(read.pop("data"), batch.pop("data"))
    assert read == batch


def test_a_planted_cifar_batch_is_refused_even_with_the_right_checksum(
    tmp_path: Path, sprung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    content = pickle.dumps({"data": Trap(sprung), "label_names": Trap(sprung)})
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=r"data_batch_1 is corrupt or another version"):
        load_dataset("cifar10", {}, root=tmp_path, download=False, pool_size=None)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    for name in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, name, [[file, digest] for file, _ in getattr(CIFAR10, name)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": digest})
    with pytest.raises(DataError, match=r"mkdir, which no batch of images needs"):
        load_dataset("cifar10", {}, root=tmp_path, download=False, pool_size=None)
    assert not sprung.exists()


def test_the_bytes_that_are_checked_are_those_that_are_read(tmp_path: Path) -> None:
    content = pickle.dumps({"labels": [1]})
    (tmp_path / "batch").write_bytes(content)
    assert read_batch(tmp_path / "batch", hashlib.md5(content).hexdigest()) == {"labels": [1]}
    with pytest.raises(ValueError, match="is not 0000"):
        read_batch(tmp_path / "batch", "0" * 32)


def archive(path: Path, members: dict[str, bytes | str]) -> Path:
    """A ``.tar.gz`` of files (bytes) and symbolic links (text)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def test_an_archive_gives_the_named_files_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    made = archive(tmp_path / "a.tar.gz", {"set/a": b"one", "../evil": b"x", "/tmp/evil-absolute": b"x", "set/b": "a"})
    unpack(made, ["set/a"], root)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [
        "a.tar.gz",
        "root/set/a",
    ]
    with pytest.raises(ValueError, match=r"set/b in .* is not a plain file"):
        unpack(made, ["set/b"], root)
    with pytest.raises(KeyError):
        unpack(made, ["set/c"], root)


@pytest.mark.parametrize(("name", "reader"), [("cifar10", "CIFAR10"), ("stl10", "STL10")])
def test_a_planted_archive_is_never_unpacked(
    tmp_path: Path, name: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    source = getattr(datasets, reader)
    root = tmp_path / "root"
    root.mkdir()
    archive(root / source.filename, {"../evil": b"x"})
    monkeypatch.setattr(source, "url", "http://127.0.0.1:9/archive.tar.gz")
    with pytest.raises(DataError, match="could not be fetched"):
        load_dataset(name, {}, root=root, download=True, pool_size=None)
    assert not (tmp_path / "evil").exists()


def test_weights_cannot_call_anything(tmp_path: Path, sprung: Path) -> None:
    import torch

    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": Trap(sprung)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="never code"):
        read_state(tmp_path / "w.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(WeightsError):
        read_state(tmp_path / "old.pth")
    assert not sprung.exists()


def test_a_coreset_cannot_call_anything(tmp_path: Path, sprung: Path) -> None:
    np.save(tmp_path / "c.npy", np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    (tmp_path / "d.npy").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("c.npy", "d.npy"):
        with pytest.raises(DataError, match="cannot read"):
            read_indices(tmp_path / name)
    assert not sprung.exists()


def test_yaml_cannot_call_anything(tmp_path: Path, sprung: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(f"rates: !!python/object/apply:os.mkdir ['{sprung}']\n")
    with pytest.raises(BenchError, match="is not valid YAML"):
        load_spec(config=path, given={})
    assert not sprung.exists()


@pytest.mark.parametrize(
    "text", ["__import__('os').mkdir('{}')", "[x for x in 'ab']", "(lambda: 1)()", "open('{}', 'w')"]
)
def test_a_parameter_is_a_literal_or_text_never_code(text: str, sprung: Path) -> None:
    from bench.grammar import parse_call

    written = text.format(sprung)
    assert parse_call({"folder": {"path": written}}).params == {"path": written}
    try:
        given = parse_call(f"folder(path={written})").params["path"]
    except BenchError:
        given = written
    assert given == written
    assert not sprung.exists()
