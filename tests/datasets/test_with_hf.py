"""Hugging Face data sets, from folders that the library itself writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import DataError
from bench.loading import load_dataset
from bench.zoo.names import library
from tests.datasets.reading import load
from tests.narrowing import in_memory

pytest.importorskip("multiprocess", reason="the library datasets is not installed (extra hf)")


def picture(grey: int, side: int = 20) -> Image.Image:
    return Image.fromarray(np.full((side, side + 4, 3), grey, dtype=np.uint8))


@pytest.fixture
def hub() -> Any:
    # The checkout's own folder of that name lies in front of it.
    return library("datasets", owner="these tests", extra="hf", having="load_dataset")


def rows(hub: Any, count: int, *, texts: bool = False) -> Any:
    names = ["cat", "dog"]
    labels = [names[n % 2] if texts else n % 2 for n in range(count)]
    features = hub.Features(
        {"img": hub.Image(), "label": hub.Value("string") if texts else hub.ClassLabel(names=names)}
    )
    return hub.Dataset.from_dict({"img": [picture(5 * n) for n in range(count)], "label": labels}, features=features)


def test_folders_of_arrow_and_of_parquet_are_the_same_data(
    tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    splits = {"train": rows(hub, 12), "test": rows(hub, 6)}
    hub.DatasetDict(splits).save_to_disk(str(tmp_path / "arrow"))
    (tmp_path / "parquet").mkdir()
    for name, part in splits.items():
        part.to_parquet(tmp_path / "parquet" / f"{name}-00000-of-00001.parquet")
    found = [load("hf", tmp_path, path=folder, image="img", size=16) for folder in ("arrow", "parquet")]
    for data in found:
        assert data.class_names == ("cat", "dog")
        assert data.train.labels.tolist() == [0, 1] * 6
        np.testing.assert_allclose(in_memory(data.test.images).mean((1, 2, 3)), [5 * n for n in range(6)], atol=0.5)
        np.testing.assert_array_equal(data.train.images, found[0].train.images)


def test_one_split_has_a_part_held_out_and_texts_are_classes(tmp_path: Path, hub: Any) -> None:
    rows(hub, 20, texts=True).save_to_disk(str(tmp_path / "mine"))
    data = load("hf", tmp_path, path="mine", image="img", size=16)
    assert data.class_names == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (16, 4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "no column 'image'; use image=COLUMN; valid: img, label"),
        ({"image": "img", "label": "y"}, "no column 'y'; use label=COLUMN"),
        ({"image": "img", "split": "valid"}, "no split 'valid'; valid: train"),
        ({"image": "img", "test": "test"}, "no other split 'test'"),
        ({"image": "label", "label": "label"}, "item 0 is not a picture"),
        ({"path": "someone/else"}, "a name on the hub needs --download"),
        ({"path": ""}, "say which one"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, hub: Any, params: dict[str, Any], message: str) -> None:
    rows(hub, 20).save_to_disk(str(tmp_path / "mine"))
    with pytest.raises(DataError, match=message):
        load("hf", tmp_path, **({"path": "mine"} | params))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (["cat", "dog", None], ["cat"], "split train: column label holds nothing at item 2; classes are"),
        ([[0], [1]], [[0]], "split train: column label holds a list at item 0"),
        ([0.0, 1.0], [0.0], "split train: column label holds a float at item 0"),
        (
            ["cat", "dog"],
            ["cat", "cow"],
            r"split test: 1 of 2 items have none of the 2 classes, .* item 1 of 'cow'; take",
        ),
        (
            [0, 1],
            [-1, -1],
            r"split test: 2 of 2 items .* item 0 of -1 .*withheld.; take another one, such as test=validation",
        ),
        ([0, 1, -1], [0], r"split train: 1 of 3 items have none of the 2 classes, .* item 2 of -1 \(-1 often says"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_labels_that_are_no_classes_are_named(
    tmp_path: Path,
    hub: Any,
    train: list[float | list[int] | str | None],
    test: list[float | list[int] | str],
    message: str,
    named: bool,
) -> None:
    whole = all(isinstance(value, int) for value in train)
    label = {"label": hub.ClassLabel(names=["cat", "dog"])} if named and whole else {}

    def part(labels: list[Any]) -> Any:
        made = hub.Dataset.from_dict({"img": [picture(5)] * len(labels), "label": labels})
        return made.cast(hub.Features({**made.features, "img": hub.Image(), **label}))

    splits = {"train": part(train), "test": part(test), "validation": part(train[:2])}
    hub.DatasetDict(splits).save_to_disk(str(tmp_path / "mine"))
    with pytest.raises(DataError, match=message):
        load("hf", tmp_path, path="mine", image="img", size=16)


def test_a_test_split_without_labels_names_its_column(tmp_path: Path, hub: Any) -> None:
    splits = {"train": rows(hub, 12), "test": rows(hub, 6).remove_columns("label")}
    hub.DatasetDict(splits).save_to_disk(str(tmp_path / "mine"))
    with pytest.raises(DataError, match="split test has no column 'label'; use label=COLUMN; valid: img"):
        load("hf", tmp_path, path="mine", image="img", size=16)


def test_a_download_that_breaks_off_as_it_is_written_is_fetched_again(
    tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = hub.DatasetDict({"train": rows(hub, 12), "test": rows(hub, 6)})
    monkeypatch.setattr("bench.datasets.with_hf.probe_host", lambda url: None)
    monkeypatch.setattr(hub, "load_dataset", lambda path, config: splits)
    write = hub.Dataset.save_to_disk

    def interrupted(part: str, folder: Path, **given: Any) -> None:
        if str(folder).endswith("test"):
            raise KeyboardInterrupt
        write(part, folder, **given)

    def fetch() -> Any:
        given = {"path": "someone/pictures", "image": "img", "size": 16}
        return load_dataset("hf", given, root=tmp_path, download=True, pool_size=None)

    monkeypatch.setattr(hub.Dataset, "save_to_disk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    monkeypatch.setattr(hub.Dataset, "save_to_disk", write)
    assert len(fetch().test) == 6
    monkeypatch.setattr(hub, "load_dataset", None)
    assert len(fetch().test) == 6, "from the folder"
    assert [path.name for path in (tmp_path / "hf" / "someone--pictures").iterdir()] == ["default"]


def test_without_a_network_a_name_fails_at_once(tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.config, "HF_ENDPOINT", "https://example.invalid")
    with pytest.raises(DataError, match="cannot be fetched: there is no network"):
        load_dataset("hf", {"path": "ethz/food101"}, root=tmp_path, download=True, pool_size=None)


def test_a_script_in_a_folder_is_not_run(tmp_path: Path, hub: Any) -> None:
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text(f"open({str(tmp_path / 'trap')!r}, 'w')\n")
    with pytest.raises(DataError, match="cannot be read as a Hugging Face data set"):
        load("hf", tmp_path, path="scripted")
    assert not (tmp_path / "trap").exists()
