"""``bench select`` as a practitioner calls it, on digits written to files and on embeddings in memory."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bench.cli import app, main
from bench.errors import BenchError, SpecError
from bench.identity import EncoderRef
from bench.images.decoding import decode
from bench.labelling.images import EmbeddingShard, FittedToFiles, embed_files, find_images
from bench.stages.base import Stage
from bench.stages.clusters import ClusterCount, PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.neighbors import NeighborLists
from bench.stages.selection import Selection
from bench.store.cache import Store
from tests.digits import load_digits

pytestmark = pytest.mark.integration

QUICK = "elfs(heads=2,cluster_epochs=3)"
DONE = (0, 1)
"""Exit codes of a written choice: so little training may find few clusters, which is 1."""
KMEANS = "elfs(clustering=kmeans)"


def select(folder: Path, *arguments: str) -> Result:
    given = ("select", "--cache-dir", str(folder / "cache"), "--threads", "1", "--device", "cpu")
    usual = {"--classes": "10", "--out": str(folder / "to_label.csv")}
    added = [word for option in usual if option not in arguments for word in (option, usual[option])]
    return CliRunner().invoke(app, [*given, *added, *arguments])


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def stored(folder: Path) -> set[str]:
    """Names of the stages in the store."""
    return {path.name for path in (folder / "cache").rglob("*.npz")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """120 digits as PNG and JPEG in nested folders, a copy of one, a damaged and an empty file, and a text."""
    folder = tmp_path / "photos"
    for number, pixels in enumerate(load_digits().images[:120]):
        target = folder / ("a" if number % 2 else "b/c") / f"{number:03}.{'png' if number % 3 else 'jpg'}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((24, 24)).save(target)
    (folder / "z_copy.png").write_bytes((folder / "a/001.png").read_bytes())
    (folder / "broken.jpg").write_bytes((folder / "b/c/000.jpg").read_bytes()[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_images_to_label(tmp_path: Path, photos: Path) -> None:
    arguments = ("--images", str(photos), "--encoder", "pixels", "--image-size", "16", "--method", KMEANS)
    done = select(tmp_path, *arguments, "--budget", "30", "--skip-duplicates", "--similarity", "0.9999")
    assert done.exit_code == 0, done.output
    assert "30 of 121 items chosen by elfs(clustering=kmeans), beta = " in done.output
    assert "Near-duplicates left out: 1." in done.output
    assert "Files that could not be read: 2" in done.output
    rows = lines(tmp_path / "to_label.csv")
    assert [row["order"] for row in rows] == [str(number + 1) for number in range(30)]
    names = [row["file"] for row in rows]
    assert len(set(names)) == 30
    assert all((photos / name).is_file() for name in names)
    assert not {"broken.jpg", "empty.png", "z_copy.png"} & set(names)
    assert all(0 <= int(row["cluster"]) < 10 and np.isfinite(float(row["score"])) for row in rows)
    assert [row["file"] for row in lines(tmp_path / "to_label.skipped.csv")] == ["broken.jpg", "empty.png"]
    with Image.open(tmp_path / "to_label.jpg") as sheet:
        assert sheet.size == (10 * 128 + 8, 3 * 144 + 8)


def test_a_chosen_picture_is_decoded_once_for_page_and_sheet(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding is what takes long: of large pictures, writing took longer than embedding them."""
    decoded = []

    def counting(path: Path, **options: Any) -> Any:
        decoded.append(path.name)
        return decode(path, **options)

    monkeypatch.setattr("bench.labelling.contact_sheet.decode", counting)
    images = ("--images", str(photos), "--encoder", "pixels", "--image-size", "16")
    done = select(tmp_path, *images, "--budget", "4", "--method", "random")
    assert done.exit_code == 0, done.output or done.exception
    assert len(decoded) == len(set(decoded)) == 4


def test_copies_in_a_choice_are_said_unless_they_are_left_out(tmp_path: Path, photos: Path) -> None:
    arguments = ("--images", str(photos), "--encoder", "pixels", "--image-size", "16", "--method", "random")
    done = select(tmp_path, *arguments, "--budget", "121")
    assert done.exit_code == 1
    assert "Warning: 1 of the 121 chosen items is an exact copy of another chosen or labelled item" in done.output
    # The two are embedded in different batches, after which their embeddings differ by rounding.
    chosen = select(tmp_path, *arguments, "--budget", "120", "--overwrite", "--skip-duplicates", "--similarity", "1")
    assert chosen.exit_code == 0, chosen.output
    assert "Near-duplicates left out: 1." in chosen.output


def test_the_same_command_again_computes_nothing_and_gives_the_same(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.encoders.pixels import PixelEncoder

    arguments = ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "20", "--method", QUICK)
    assert select(tmp_path, *arguments).exit_code in DONE
    first = (tmp_path / "to_label.csv").read_bytes()
    monkeypatch.setattr(PixelEncoder, "embed", lambda *_, **__: pytest.fail("embedded again"))
    monkeypatch.setattr("bench.training.proxy.observe_dynamics", lambda *_, **__: pytest.fail("observed again"))
    monkeypatch.setattr("bench.training.proxy.rehearse", lambda *_, **__: pytest.fail("rehearsed again"))
    assert select(tmp_path, *arguments, "--overwrite").exit_code in DONE
    assert (tmp_path / "to_label.csv").read_bytes() == first


@pytest.mark.parametrize("changed", [PseudoLabels, ProxyDynamics, NeighborLists, Embeddings, Selection])
def test_what_a_later_version_computes_otherwise_is_computed_again(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, changed: type[Stage]
) -> None:
    arguments = (
        "--images",
        str(photos),
        "--encoder",
        "pixels(size=8)",
        "--budget",
        "20",
        "--method",
        QUICK,
        "--overwrite",
    )
    assert select(tmp_path, *arguments).exit_code in DONE
    before = stored(tmp_path)
    assert select(tmp_path, *arguments).exit_code in DONE
    assert stored(tmp_path) == before
    monkeypatch.setattr(changed, "version", changed.version + 1)
    monkeypatch.setattr(EmbeddingShard, "version", Embeddings.version)
    assert select(tmp_path, *arguments).exit_code in DONE
    assert stored(tmp_path) > before


@pytest.mark.parametrize("name", ["to_label.csv", "to_label.jpg", "to_label.skipped.csv"])
def test_nothing_that_is_there_is_replaced_unless_that_is_asked_for(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:50])
    arguments = ("--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--method", "random")
    mine = tmp_path / name
    mine.write_text("mine")
    done = select(tmp_path, *arguments)
    assert isinstance(done.exception, SpecError)
    assert f"already in {tmp_path}: {name}, perhaps with labels of yours" in str(done.exception)
    assert "--overwrite" in str(done.exception)
    assert mine.read_text() == "mine"
    assert not (tmp_path / "cache").exists(), "refused before any work"
    assert select(tmp_path, *arguments, "--overwrite").exit_code == 0
    assert len(lines(tmp_path / "to_label.csv")) == 20


def test_a_large_picture_is_read_without_a_warning(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow warned of each, of a bomb in a file that it did not name: case F25 of 2026-11-28."""
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 400)
    options = ("--encoder", "pixels(size=8)", "--method", "random", "--budget", "20", "--classes", "10", "--quiet")
    where = ("--out", str(tmp_path / "o.csv"), "--cache-dir", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["bench", "select", "--images", str(photos), *options, *where])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with suppress(SystemExit):
            main()
    assert len(lines(tmp_path / "o.csv")) == 20
    assert not [item for item in seen if "pixels" in str(item.message)]


def test_a_name_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:50])
    arguments = ("--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--method", "random")
    done = select(tmp_path, *arguments, "--out", str(tmp_path / f"{'x' * 300}.csv"))
    assert isinstance(done.exception, SpecError)
    assert "File name too long" in str(done.exception)


def test_a_list_in_which_labelling_began_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.labelling import whole

    np.save(tmp_path / "x.npy", load_digits().data[:50])
    mine, chosen = tmp_path / "to_label.csv", whole.choose_to_label

    def label_meanwhile(*given: Any, **options: Any) -> Any:
        mine.write_text("item,label\n7,cat\n")
        return chosen(*given, **options)

    monkeypatch.setattr(whole, "choose_to_label", label_meanwhile)
    done = select(tmp_path, "--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--method", "random")
    assert isinstance(done.exception, SpecError)
    assert mine.read_text() == "item,label\n7,cat\n"


def twenty_of(photos: Path) -> tuple[str, ...]:
    """Options that choose twenty photographs by chance."""
    return ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "20", "--method", "random")


def test_what_is_written_among_the_images_is_none_of_them(tmp_path: Path, photos: Path) -> None:
    arguments = (*twenty_of(photos), "--json")
    found = []
    for name in ("first.csv", "first.csv", "second.csv"):
        done = select(tmp_path, *arguments, "--overwrite", "--out", str(photos / name))
        assert done.exit_code == 0, done.output
        summary = json.loads(done.stdout)
        found.append((summary["items"], summary["other_files"], (photos / name).read_text()))
    others = {".csv": 2, ".html": 1, ".txt": 1}  # the first list, its skipped files and its page
    assert found == [found[0], found[0], (*found[0][:1], others, found[0][2])]
    assert found[0][1] == {".txt": 1}


def test_files_of_other_kinds_are_counted(tmp_path: Path, photos: Path) -> None:
    (photos / "holiday.CR2").write_bytes(b"not read")
    (photos / "README").write_text("mine")
    arguments = twenty_of(photos)
    assert "ignored: 1 without suffix, 1 .cr2, 1 .txt." in " ".join(select(tmp_path, *arguments).output.split())


def test_a_list_of_skipped_files_does_not_outlive_them(tmp_path: Path, photos: Path) -> None:
    arguments = (*twenty_of(photos), "--overwrite")
    assert select(tmp_path, *arguments).exit_code == 0
    assert (tmp_path / "to_label.skipped.csv").exists()
    for name in ("broken.jpg", "empty.png"):
        (photos / name).unlink()
    assert select(tmp_path, *arguments).exit_code == 0
    assert not (tmp_path / "to_label.skipped.csv").exists()


def test_embeddings_to_label_as_json(tmp_path: Path) -> None:
    np.save(tmp_path / "digits.npy", load_digits().data[:200])
    done = select(
        tmp_path, "--embeddings", str(tmp_path / "digits.npy"), "--budget", "25", "--method", KMEANS, "--json"
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["budget"], summary["items"], summary["skipped_files"]) == (25, 200, 0)
    rows = lines(tmp_path / "to_label.csv")
    assert sorted({int(row["item"]) for row in rows}) == sorted(int(row["item"]) for row in rows)
    assert all(0 <= int(row["item"]) < 200 for row in rows)


@pytest.mark.parametrize("method", ["random", "d2-label-free", "prototypicality", "kcenter"])
def test_every_kind_of_label_free_method_selects(tmp_path: Path, method: str) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:150])
    done = select(tmp_path, "--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--method", method, "-q")
    assert done.exit_code == 0, done.output
    assert len(lines(tmp_path / "to_label.csv")) == 20


def test_an_estimated_number_of_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", np.repeat(np.eye(4), 30, axis=0) + rng.normal(scale=0.05, size=(120, 4)))
    method = "elfs(num_clusters=estimate,clustering=kmeans,beta=0)"
    arguments = ("--embeddings", str(tmp_path / "x.npy"), "--budget", "40", "--method", method, "--json", "--overwrite")
    done = select(tmp_path, *arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["chosen"] == {"num_clusters": 4}
    assert {row["cluster"] for row in lines(tmp_path / "to_label.csv")} <= {"0", "1", "2", "3"}
    before = stored(tmp_path)
    monkeypatch.setattr(ClusterCount, "version", ClusterCount.version + 1)
    assert select(tmp_path, *arguments).exit_code == 0
    assert len(stored(tmp_path) - before) == 4, "the count, and what rests on it: clusters, dynamics, coreset"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "5"], "either --images FOLDER or --embeddings"),
        (["--budget", "5", "--images", "nowhere"], "nowhere does not exist"),
        (["--budget", "5", "--embeddings", "nowhere.npy"], "cannot read nowhere.npy"),
        (["--budget", "5", "--embeddings", "x.npy", "--similarity", "0.9"], "--similarity 0.9 has no effect"),
        (
            ["--budget", "5", "--embeddings", "x.npy", "--method", "random,kcenter"],
            "--method random,kcenter names 2 methods; give one, or add --compare.",
        ),
        (["--budget", "5", "--embeddings", "x.npy", "--encoder", "pixels"], "are only for --images"),
        (["--budget", "5", "--embeddings", "x.npy", "--image-size", "64"], "are only for --images"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = select(tmp_path, *arguments)
    assert isinstance(done.exception, BenchError)
    assert message in str(done.exception)
    assert not (tmp_path / "to_label.csv").exists()


def test_a_folder_without_a_readable_image(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.png"):
        (folder / name).write_bytes(b"no image")
    done = select(tmp_path, "--images", str(folder), "--encoder", "pixels(size=8)", "--budget", "2", "--classes", "2")
    assert isinstance(done.exception, BenchError)
    assert "none of the 3 image files could be read" in str(done.exception)


def test_a_file_name_that_is_no_utf8_is_written_as_it_is(tmp_path: Path, photos: Path) -> None:
    (photos / "z_copy.png").unlink()
    (photos / "a/001.png").rename(photos / os.fsdecode(b"caf\xe9.png"))
    (photos / os.fsdecode(b"broken\xe9.jpg")).write_bytes(b"no image")
    done = select(
        tmp_path, "--images", str(photos), "--encoder", "pixels(size=8)", "--method", "random", "--budget", "120"
    )
    assert done.exit_code == 0, done.output
    assert b"caf\xe9.png" in (tmp_path / "to_label.csv").read_bytes()
    assert b"broken\xe9.jpg" in (tmp_path / "to_label.skipped.csv").read_bytes()


@pytest.mark.parametrize(
    "name", ["new\nline.png", "car\rret.png", "tab\there.png", "a\u202eb.png", "x" * 200 + ".png", "😀.png"]
)
def test_a_name_with_unusual_characters_is_listed_and_captioned(tmp_path: Path, photos: Path, name: str) -> None:
    """A line break ended in a traceback after the list was written: cases F8 and F9 of 2026-11-28."""
    (photos / "z_copy.png").unlink()
    (photos / "a/001.png").rename(photos / name)
    done = select(
        tmp_path, "--images", str(photos), "--encoder", "pixels(size=8)", "--method", "random", "--budget", "120"
    )
    assert done.exit_code == 0, done.output
    with (tmp_path / "to_label.csv").open(newline="", encoding="utf-8") as file:
        assert name in [row["file"] for row in csv.DictReader(file)]
    assert (tmp_path / "to_label.jpg").stat().st_size > 1000


@pytest.mark.parametrize("beta", ["0.1", "0.4"])
def test_a_budget_and_beta_meet_in_decimals(tmp_path: Path, beta: str) -> None:
    """1 - 90 / 100 is below 0.1 in binary: case F10 of 2026-11-28."""
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(100, 8)))
    method = f"elfs(beta={beta},clustering=kmeans)"
    budget = str(100 - round(100 * float(beta)))
    done = select(tmp_path, "--embeddings", str(tmp_path / "e.npy"), "--budget", budget, "--method", method)
    assert done.exit_code == 0, done.output
    assert len(lines(tmp_path / "to_label.csv")) == int(budget)


def test_an_error_of_the_budget_says_what_was_left_out(tmp_path: Path, photos: Path) -> None:
    """Case F12 of 2026-11-28."""
    np.save(tmp_path / "d.npy", np.repeat(np.random.default_rng(0).normal(size=(5, 8)), 20, 0))
    given: tuple[str, ...] = (
        "--embeddings",
        str(tmp_path / "d.npy"),
        "--classes",
        "4",
        "--method",
        "random",
        "--skip-duplicates",
    )
    done = select(tmp_path, *given, "--budget", "10")
    assert "of 100 items 95 are near-duplicates of others; of 5 items 2 to 5 can be kept" in str(done.exception)
    given = ("--images", str(photos), "--encoder", "pixels(size=8)", "--method", "random", "--budget", "123")
    done = select(tmp_path, *given)
    assert "of 123 files 2 could not be read (broken.jpg, empty.png); of 121 items 2 to 121" in str(done.exception)
    assert not list(tmp_path.glob("to_label*")), "so that the corrected command is not refused"


def test_an_encoder_is_fitted_to_readable_files_alone(tmp_path: Path, photos: Path) -> None:
    sets = {}
    for damaged in ("with", "without"):
        folder = tmp_path / damaged
        shutil.copytree(photos, folder / "photos")
        if damaged == "without":
            (folder / "photos/broken.jpg").unlink()
            (folder / "photos/empty.png").unlink()
        files = find_images(folder / "photos").files
        ref, store = EncoderRef(name="pixels"), Store(folder / "cache")
        told: list[tuple[int, int]] = []

        def report(done: int, whole: int, told: list[tuple[int, int]] = told) -> None:
            told.append((done, whole))

        def stage(title: str, report: Callable[[int, int], None] = report) -> Callable[[int, int], None]:
            return report

        sets[damaged] = embed_files(files, ref, None, store=store, size=16, device="cpu", stage=stage)
        assert told[-1] == (len(files), len(files))
    assert [item.name for item in sets["with"].skipped] == ["broken.jpg", "empty.png"]
    np.testing.assert_allclose(sets["with"].embeddings, sets["without"].embeddings, atol=1e-4)


def test_embeddings_rest_on_the_fit_of_their_encoder(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embed() -> int:
        files, ref = find_images(photos).files, EncoderRef(name="pixels")
        given: dict[str, Any] = {"store": Store(tmp_path / "cache"), "size": 16, "device": "cpu"}
        embed_files(files, ref, None, **given, stage=lambda title: lambda *told: None)
        return len(list((tmp_path / "cache").rglob(f"{EmbeddingShard.kind}/**/*.npz")))

    assert embed() == embed() == 1
    monkeypatch.setattr(FittedToFiles, "version", FittedToFiles.version + 1)
    assert embed() == 2


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    from bench.images.folders import scan_images
    from bench.images.streaming import StreamedImages

    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    files = scan_images(tmp_path).files
    upright, as_stored = (StreamedImages(files, 8, 8, upright=turn)[np.array([0])][0, 0] for turn in (True, False))
    assert as_stored[:2].min() == 255
    assert upright[:, -2:].min() == 255
    assert upright[:, :6].max() == 0
