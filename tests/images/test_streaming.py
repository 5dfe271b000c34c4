"""Images decoded from files, against Pillow and torchvision."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from bench import DataError
from bench.data import FileImages
from bench.images.contents import read_contents
from bench.images.folders import ImageFiles, class_folders, scan_classes, scan_images
from bench.images.streaming import StreamedImages, random_box


def one_image(image: Image.Image, folder: Path, name: str = "image.png") -> ImageFiles:
    image.save(folder / name)
    size = (folder / name).stat().st_size
    return ImageFiles(folder.resolve(), (name,), np.array([size]))


@pytest.fixture
def files(photographs: Path) -> ImageFiles:
    return scan_classes(photographs, "", class_folders(photographs))[0]


def gradient(width: int, height: int, mode: str = "RGB") -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    red, green = columns * 255 // max(1, width - 1), rows * 255 // max(1, height - 1)
    return Image.fromarray(np.stack([red, green, 255 - red], axis=2).astype(np.uint8)).convert(mode)


def test_is_what_the_harness_calls_images(files: ImageFiles) -> None:
    images = StreamedImages(files, 64, 72)
    assert isinstance(images, FileImages)
    assert (len(images), images.shape) == (9, (9, 3, 64, 64))
    assert images[np.array([], dtype=np.int64)].shape == (0, 3, 64, 64)


@pytest.mark.parametrize(("width", "height"), [(224, 224), (301, 200), (97, 333), (20, 31)])
def test_centre_crop_is_torchvisions(width: int, height: int, files: ImageFiles, tmp_path: Path) -> None:
    with Image.open(files.root / files.names[0]) as photograph:
        image = photograph.convert("RGB").resize((width, height))
    ours = StreamedImages(one_image(image, tmp_path), 56, 64)[np.array([0])][0]
    theirs = v2.CenterCrop(56)(v2.Resize(64)(image))
    assert np.array_equal(ours, np.asarray(theirs).transpose(2, 0, 1))


@pytest.mark.parametrize(("width", "height"), [(20, 401), (500, 31), (3, 700), (1, 90), (129, 16)])
def test_a_strip_is_cut_before_it_is_scaled(width: int, height: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    ours = StreamedImages(one_image(image, tmp_path), 56, 64)[np.array([0])][0].astype(int)
    theirs = np.asarray(v2.CenterCrop(56)(v2.Resize(64)(image))).transpose(2, 0, 1)
    # Pillow rounds after each direction, and takes the two in another order for other sizes.
    assert np.abs(ours - theirs).max() <= 2
    assert ours.std() > 5


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1), (65_000, 3)])
def test_a_strip_costs_next_to_nothing(shape: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", shape)
    image.putpixel((shape[0] // 2, shape[1] // 2), (255, 0, 0))
    scaled, resize = [], Image.Image.resize

    def noted(self: Image.Image, size: tuple[int, int], *given: object, **options: object) -> Image.Image:
        scaled.append(size)
        return resize(self, size, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", noted)
    pixels = StreamedImages(one_image(image, tmp_path), 224, 256)[np.array([0])][0]
    assert scaled == [(224, 224)], "12 GB, were it scaled whole"
    assert pixels[0].max() > 200, "the centre"
    assert pixels[1].max() == 0


def test_batches_do_not_depend_on_each_other(files: ImageFiles) -> None:
    images = StreamedImages(files, 48, 48)
    together = images[np.arange(9)]
    assert np.array_equal(together[[7, 2]], images[np.array([7, 2])])
    augmented = images.augmented(np.array([7, 2, 5]), [11, 12, 13])
    assert np.array_equal(augmented[1:2], images.augmented(np.array([2]), [12]))
    assert not np.array_equal(augmented[1:2], images.augmented(np.array([2]), [13]))


def test_pixels_do_not_depend_on_the_number_of_threads(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    images, batches = StreamedImages(files, 48, 48), {}
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        batches[threads] = images.augmented(np.arange(9), list(range(9)))
    assert np.array_equal(batches["1"], batches["4"])


def test_no_memory_for_threads_is_no_error(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    images = StreamedImages(files, 48, 48)
    expected = images[np.arange(9)]
    started: list[Any] = []

    def start(self: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(self)
        original(self)

    original = threading.Thread.start
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert np.array_equal(images[np.arange(9)], expected)
    assert started


def test_augmentation_crops_the_original_and_mirrors_half(tmp_path: Path) -> None:
    # Red grows from left to right, green from top to bottom: the crop's own slopes show where it was cut and mirrored.
    images = StreamedImages(one_image(gradient(200, 150), tmp_path), 32, 32)
    batch = images.augmented(np.zeros(400, dtype=np.int64), range(400)).astype(np.int64)
    red, green = batch[:, 0].mean(1), batch[:, 1].mean(2)
    mirrored = red[:, 0] > red[:, -1]
    assert 160 <= mirrored.sum() <= 240
    assert (green[:, -1] > green[:, 0]).all(), "never upside down"
    area = np.abs(red[:, -1] - red[:, 0]) / 255 * (green[:, -1] - green[:, 0]) / 255
    assert area.min() < 0.12
    assert area.max() > 0.85


def test_random_boxes_are_distributed_as_torchvisions() -> None:
    rng = np.random.default_rng(0)
    ours = np.array([random_box(500, 375, rng) for _ in range(4000)])
    ours_size = np.stack([ours[:, 2] - ours[:, 0], ours[:, 3] - ours[:, 1]], axis=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image, transform = torch.empty(3, 375, 500), v2.RandomResizedCrop(8)
        drawn = [transform.make_params([image]) for _ in range(4000)]
    theirs = np.array([[d["left"], d["top"], d["width"], d["height"]] for d in drawn])
    for values, reference in ((ours[:, 0], theirs[:, 0]), (ours[:, 1], theirs[:, 1])):
        assert abs(values.mean() - reference.mean()) < 5 * reference.std() / np.sqrt(2000)
    for axis in (0, 1):
        reference = theirs[:, 2 + axis]
        assert abs(ours_size[:, axis].mean() - reference.mean()) < 5 * reference.std() / np.sqrt(2000)
        assert ours_size[:, axis].std() == pytest.approx(reference.std(), rel=0.06)


@given(width=st.integers(1, 700), height=st.integers(1, 700), seed=st.integers(0, 2**62))
def test_random_boxes_lie_inside(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_pixel_format_of_eight_bits_becomes_rgb(mode: str, tmp_path: Path) -> None:
    name = "image.jpg" if mode == "CMYK" else "image.png"
    pixels = StreamedImages(one_image(gradient(40, 30, mode), tmp_path, name), 30, 30)[np.array([0])]
    assert pixels.shape == (1, 3, 30, 30)
    assert pixels.std() > 20


def test_webp_and_transparent_palettes(tmp_path: Path) -> None:
    assert StreamedImages(one_image(gradient(40, 30), tmp_path, "image.webp"), 30, 30)[np.array([0])].std() > 20
    palette = gradient(40, 30, "P")
    palette.info["transparency"] = bytes(range(256))
    assert StreamedImages(one_image(palette, tmp_path), 30, 30)[np.array([0])].std() > 20


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((30, 30), 40_000, dtype=np.uint16))
    with pytest.raises(DataError, match=r"image\.png: pixel format 'I;16' has more than 8 bits"):
        StreamedImages(one_image(image, tmp_path), 30, 30)[np.array([0])]


def test_another_format_behind_a_known_suffix_is_refused(tmp_path: Path) -> None:
    gradient(30, 30).save(tmp_path / "image.gif")
    (tmp_path / "image.gif").rename(tmp_path / "image.jpg")
    files = ImageFiles(tmp_path.resolve(), ("image.jpg",), np.array([1]))
    with pytest.raises(DataError, match=r"cannot decode the image .*image\.jpg"):
        StreamedImages(files, 30, 30)[np.array([0])]


def test_a_file_that_vanished_is_named(files: ImageFiles) -> None:
    (files.root / files.names[4]).unlink()
    with pytest.raises(DataError, match="it is not there any more"):
        StreamedImages(files, 30, 30)[np.array([4])]


@pytest.mark.parametrize("name", ["../outside.png", "/outside.png"])
def test_names_cannot_leave_the_root(name: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    one_image(gradient(30, 30), tmp_path, "outside.png")
    files = ImageFiles(root.resolve(), (name,), np.array([1]))
    with pytest.raises(DataError, match="leads outside"):
        StreamedImages(files, 30, 30)[np.array([0])]


def test_a_file_replaced_by_a_link_after_listing_is_refused(files: ImageFiles, tmp_path: Path) -> None:
    file = files.root / files.names[0]
    file.rename(tmp_path / "moved.jpg")
    file.symlink_to(tmp_path / "moved.jpg")
    with pytest.raises(DataError, match="leads outside"):
        StreamedImages(files, 30, 30)[np.array([0])]


def test_fingerprint_is_of_names_sizes_and_crop(files: ImageFiles, photographs: Path, tmp_path: Path) -> None:
    images = StreamedImages(files, 64, 72)
    moved = photographs.rename(tmp_path / "elsewhere")
    rescanned, _ = scan_classes(moved, "", class_folders(moved))
    assert StreamedImages(rescanned, 64, 72).fingerprint == images.fingerprint
    assert StreamedImages(rescanned, 64, 64).fingerprint != images.fingerprint
    with (moved / files.names[0]).open("ab") as file:
        file.write(b"0")
    longer, _ = scan_classes(moved, "", class_folders(moved))
    assert StreamedImages(longer, 64, 72).fingerprint != images.fingerprint
    (moved / files.names[1]).rename((moved / files.names[1]).with_name("renamed.jpg"))
    renamed, _ = scan_classes(moved, "", class_folders(moved))
    assert StreamedImages(renamed, 64, 72).fingerprint != StreamedImages(longer, 64, 72).fingerprint


def test_what_files_hold_counts_where_it_was_read(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in ("one", "other"))
    for folder, colour in ((one, "red"), (other, "navy")):
        folder.mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (8, 8), colour).save(folder / name, compress_level=0)
            os.utime(folder / name, ns=(10**18, 10**18))
    scanned = {folder: scan_images(folder).files for folder in (one, other)}
    assert StreamedImages(scanned[one], 8, 8).fingerprint == StreamedImages(scanned[other], 8, 8).fingerprint
    read = {folder: read_contents(files).files for folder, files in scanned.items()}
    before = StreamedImages(read[one], 8, 8).fingerprint
    assert before != StreamedImages(read[other], 8, 8).fingerprint
    one.rename(tmp_path / "moved")
    (tmp_path / "moved" / "a.png").rename(tmp_path / "moved" / "aa.png")
    assert StreamedImages(read_contents(scan_images(tmp_path / "moved").files).files, 8, 8).fingerprint == before
    assert StreamedImages(read[one].take(np.array([0])), 8, 8).fingerprint != before


def test_a_file_that_changed_since_it_was_read_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    images = StreamedImages(read_contents(scan_images(tmp_path).files).files, 8, 8)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "b.png")
    images[np.array([0])]
    with pytest.raises(DataError, match=r"b\.png: it was changed meanwhile"):
        images[np.array([1])]


def test_pickles_small_and_decodes_alike(files: ImageFiles) -> None:
    images = StreamedImages(files, 224, 256)
    content = pickle.dumps(images)
    assert len(content) < 3000
    assert np.array_equal(pickle.loads(content)[np.arange(3)], images[np.arange(3)])


def test_size_must_not_exceed_the_short_side(files: ImageFiles) -> None:
    with pytest.raises(DataError, match="1 <= size <= resize"):
        StreamedImages(files, 64, 63)


def test_seeds_must_match_the_indices(files: ImageFiles) -> None:
    with pytest.raises(ValueError, match="2 indices need as many seeds, got 1"):
        StreamedImages(files, 64, 64).augmented(np.array([0, 1]), [0])
