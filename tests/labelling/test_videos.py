"""Videos and HEIC files, made by the test itself: which pictures are taken, what they are called, what is wrong."""

from __future__ import annotations

import csv
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bench.cli import app
from bench.errors import DataError, SpecError
from bench.images import heic
from bench.labelling import videos
from bench.labelling.videos import extract_frames

SIDE = 64


def film(path: Path, seconds: float, *, rate: int = 10, white: int = SIDE // 2) -> None:
    """Grey that begins at 0 and brightens by 20 each second; the upper rows are white."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(round(seconds * rate)):
            picture = np.full((SIDE, SIDE, 3), 20 * (number // rate), dtype=np.uint8)
            picture[:white] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def frames_of(folder: Path, fps: float) -> tuple[list[str], Any]:
    scan = extract_frames(folder, folder.with_suffix(".frames"), fps, lambda title: lambda done, total: None)
    return list(scan.files.names), scan.skipped


def grey(path: Path) -> int:
    return round(float(np.asarray(Image.open(path).convert("L"))[SIDE * 3 // 4, SIDE // 2]))


def test_a_picture_a_second_is_named_by_video_and_time(tmp_path: Path) -> None:
    film(tmp_path / "v/a.mp4", 3)
    film(tmp_path / "v/deep/b.mkv", 2.5)
    names, skipped = frames_of(tmp_path / "v", 1)
    assert skipped == ()
    assert names == [
        *(f"a.mp4/00-00-0{second}.000.jpg" for second in range(3)),
        *(f"deep/b.mkv/00-00-0{second}.000.jpg" for second in range(3)),
    ]
    shades = [grey(tmp_path / "v.frames" / name) for name in names[:3]]
    np.testing.assert_allclose(shades, [0, 20, 40], atol=4, err_msg="each is the one that is shown then")


@pytest.mark.parametrize(("fps", "times"), [(0.5, ["00.000", "02.000"]), (4, ["00.000", "00.300", "00.500", "00.800"])])
def test_pictures_are_the_first_shown_at_each_time_or_after(tmp_path: Path, fps: float, times: list[str]) -> None:
    film(tmp_path / "v/a.mp4", 3)
    names, _ = frames_of(tmp_path / "v", fps)
    assert [name[len("a.mp4/00-00-") : -len(".jpg")] for name in names][: len(times)] == times


def test_a_video_of_a_telephone_is_turned_upright(tmp_path: Path) -> None:
    """Telephones store pictures as the sensor lies, and in the track's header how to turn them."""
    film(tmp_path / "v/a.mp4", 1)
    content = (tmp_path / "v/a.mp4").read_bytes()
    stored = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    at = content.index(stored, content.index(b"tkhd"))
    (tmp_path / "v/a.mp4").write_bytes(content[:at] + turned + content[at + len(turned) :])
    names, _ = frames_of(tmp_path / "v", 1)
    picture = np.asarray(Image.open(tmp_path / "v.frames" / names[0]).convert("L")).astype(int)
    assert picture[:, SIDE * 3 // 4].min() > 230, "clockwise: what was above is on the right"
    assert picture[:, SIDE // 4].max() < 30


def test_what_was_taken_before_is_kept_and_what_changed_is_taken_anew(tmp_path: Path) -> None:
    film(tmp_path / "v/a.mp4", 2)
    names, _ = frames_of(tmp_path / "v", 1)
    first = tmp_path / "v.frames" / names[0]
    first.write_bytes(b"kept")
    frames_of(tmp_path / "v", 1)
    assert first.read_bytes() == b"kept"
    assert len(frames_of(tmp_path / "v", 2)[0]) == 4
    film(tmp_path / "v/a.mp4", 3)
    assert len(frames_of(tmp_path / "v", 2)[0]) == 6
    assert not [path for path in (tmp_path / "v.frames").iterdir() if path.name.startswith(".")]


def test_a_damaged_video_is_told_and_its_pictures_kept(tmp_path: Path) -> None:
    film(tmp_path / "v/a.mkv", 5)
    film(tmp_path / "v/b.mp4", 1)
    (tmp_path / "v/c.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "v/d.mp4").write_bytes(b"")
    names, skipped = frames_of(tmp_path / "v", 1)
    assert {name.split("/")[0] for name in names} == {"a.mkv", "b.mp4"}
    assert [item.name for item in skipped] == ["c.mp4", "d.mp4"]
    assert all("damaged after the beginning" in item.reason for item in skipped)
    assert frames_of(tmp_path / "v", 1)[1] == skipped, "it is told again"


def test_a_folder_that_holds_the_users_own_files_is_left_alone(tmp_path: Path) -> None:
    film(tmp_path / "v/a.mp4", 1)
    own = tmp_path / "v.frames/a.mp4/mine.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(DataError, match="holds files that are not frames of"):
        frames_of(tmp_path / "v", 1)
    assert own.read_text() == "mine"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no video \(.mp4"):
        frames_of(tmp_path / "empty", 1)


def select(folder: Path, *arguments: str) -> Result:
    given = ["select", "--cache-dir", str(folder / "cache"), "--threads", "1", "--device", "cpu", "--classes", "2"]
    given += ["--encoder", "pixels", "--image-size", "16", "--method", "random", "--out", str(folder / "x.csv"), "-q"]
    return CliRunner().invoke(app, [*given, *arguments])


def listed(folder: Path) -> list[str]:
    with (folder / "x.csv").open(newline="", encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file)]


def test_frames_of_videos_are_chosen_one_a_video(tmp_path: Path) -> None:
    # No two have a picture in common: of exact copies a choice warns.
    for number, name in enumerate(("a.mp4", "b.mp4", "c.mp4"), 1):
        film(tmp_path / "v" / name, 4, white=number * SIDE // 4)
    (tmp_path / "v/broken.mp4").write_bytes(b"no video")
    done = select(tmp_path, "--images", str(tmp_path / "v"), "--fps", "1", "--budget", "3", "--groups", "folder")
    assert done.exit_code in (0, 1), done.output or done.exception  # 1: the films are the same, so frames are copies
    assert sorted(name.split("/")[0] for name in listed(tmp_path)) == ["a.mp4", "b.mp4", "c.mp4"]
    (frames,) = tmp_path.glob("v-*.frames")
    assert all((frames / name).is_file() for name in listed(tmp_path))
    assert "broken.mp4" in (tmp_path / "x.skipped.csv").read_text()
    assert f"Pictures of the videos are in {frames}" in done.output


def test_pictures_of_the_videos_given_now_alone_are_chosen(tmp_path: Path) -> None:
    """What other videos left behind stays where it is, and is no candidate."""
    film(tmp_path / "v/a.mp4", 2)
    film(tmp_path / "v/b.mp4", 2)
    assert len(frames_of(tmp_path / "v", 1)[0]) == 4
    (tmp_path / "v/b.mp4").unlink()
    Image.new("RGB", (8, 8)).save(tmp_path / "v.frames/a.mp4/mine.jpg")
    assert {name.split("/")[0] for name in frames_of(tmp_path / "v", 1)[0]} == {"a.mp4"}
    assert not [name for name in frames_of(tmp_path / "v", 1)[0] if "mine" in name]
    assert len(list((tmp_path / "v.frames/b.mp4").glob("*.jpg"))) == 2


def test_folders_of_one_name_have_pictures_of_their_own(tmp_path: Path) -> None:
    for folder, seconds in (("A", 2), ("B", 4)):
        film(tmp_path / folder / "clips/one.mp4", seconds)
        images = str(tmp_path / folder / "clips")
        done = select(tmp_path, "--images", images, "--fps", "1", "--budget", str(seconds), "--overwrite")
        assert done.exit_code == 0, done.output or done.exception
        assert len(listed(tmp_path)) == seconds
    counts = [len(list(folder.glob("one.mp4/*.jpg"))) for folder in tmp_path.glob("clips-*.frames")]
    assert sorted(counts) == [2, 4]


def test_files_of_the_users_beside_pictures_stay(tmp_path: Path) -> None:
    film(tmp_path / "v/a.mp4", 3)
    frames_of(tmp_path / "v", 1)
    own = [tmp_path / "v.frames/a.mp4" / name for name in ("labels.txt", "00-00-01.000.txt", "deep/mine.txt")]
    own[-1].parent.mkdir()
    for path in own:
        path.write_text("mine")
    assert len(frames_of(tmp_path / "v", 0.5)[0]) == 2
    assert [path.read_text() for path in own] == ["mine"] * 3
    assert len(list((tmp_path / "v.frames/a.mp4").glob("*.jpg"))) == 2, "our own of another rate are gone"


def test_a_video_that_is_cut_off_while_its_pictures_are_put_in_place_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "v/a.mp4", 3)
    frames_of(tmp_path / "v", 1)
    put = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target.name == "00-00-04.000.jpg":
            raise KeyboardInterrupt
        return put(path, target)

    film(tmp_path / "v/a.mp4", 5)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            frames_of(tmp_path / "v", 1)
    film(tmp_path / "v/a.mp4", 3)
    names, _ = frames_of(tmp_path / "v", 1)
    assert len(names) == len(list((tmp_path / "v.frames/a.mp4").glob("*.jpg"))) == 3
    assert [round(grey(tmp_path / "v.frames" / name), -1) for name in names] == [0, 20, 40]
    assert not [path for path in (tmp_path / "v.frames").rglob(".*") if path.name != ".frames.json"]


def test_videos_without_the_package_or_a_rate_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    for given, message in (
        (["--images", str(folder), "--fps", "0"], "--fps 0 is not valid"),
        (["--embeddings", "x.npy", "--fps", "1"], "--fps takes pictures from the videos in --images"),
    ):
        done = select(tmp_path, *given, "--budget", "3")
        assert isinstance(done.exception, SpecError)
        assert message in str(done.exception)
    monkeypatch.setattr(videos, "find_spec", lambda name: None)
    done = select(tmp_path, "--images", str(folder), "--fps", "1", "--budget", "3")
    assert "PyAV, which is not installed: pip install -e '.[video]'" in str(done.exception)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    pytest.importorskip("pillow_heif")
    heic.formats()
    folder = tmp_path / "photos"
    folder.mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (5, 3), dtype=np.uint8)
    for number, colour in enumerate(colours):
        Image.new("RGB", (48, 32), tuple(colour.tolist())).save(
            folder / f"{number}.{'HEIC' if number else 'heif'}", "HEIF"
        )
    return folder


def test_heic_files_are_chosen_and_shown(tmp_path: Path, photos: Path) -> None:
    done = select(tmp_path, "--images", str(photos), "--budget", "5", "--format", "coco")
    assert done.exit_code == 0, done.output or done.exception
    assert sorted(listed(tmp_path)) == ["0.heif", *(f"{number}.HEIC" for number in range(1, 5))]
    assert (tmp_path / "x.html").read_text().count("data:image/jpeg;base64") == 5
    assert (tmp_path / "x.coco.json").read_text().count('"width": 48') == 5


def test_heic_files_without_the_package_are_named_with_what_to_install(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heic, "find_spec", lambda name: None)
    done = select(tmp_path, "--images", str(photos), "--budget", "2")
    assert isinstance(done.exception, DataError)
    assert "HEIC files (5) are read with pillow-heif, which is not installed: pip install -e '.[heic]'" in str(
        done.exception
    )
    for number in range(3):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(photos / f"{number}.png")
    done = select(tmp_path, "--images", str(photos), "--budget", "2")
    assert done.exit_code == 0, done.output or done.exception
    assert "4 .heic, 1 .heif" in done.output
    assert "pip install -e '.[heic]'" in done.output
