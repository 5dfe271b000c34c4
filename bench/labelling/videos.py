"""Extracting frames of videos into picture files whose names tell the video and the time."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import DataError, SpecError, install_command
from bench.images.decoding import content_sha256
from bench.images.folders import Scan, Skipped, scan_images
from bench.progress import Progress
from bench.store.files import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
_RECORD = ".frames.json"
"""Record of a folder's video and rate; hidden, so that it is not taken for a user's file."""
_OURS = re.compile(r"\d{2,}-\d\d-\d\d\.\d{3}\.jpg")
"""Names of pictures (``_clock``); other files in the folder are never chosen, replaced or removed."""
_QUALITY = 95


def check_videos(fps: float | None) -> None:
    """Refuse a rate that is not valid, or a missing package, before any work.

    Raises:
        SpecError: the rate is not valid, or the package that decodes videos is missing.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise SpecError(f"--fps {fps:g} is not valid; pictures a second of video, above 0, such as 1 or 0.2.")
    if fps is not None and find_spec("av") is None:
        raise SpecError(f"--fps reads videos with PyAV, which is not installed: {install_command('video')}.")


def frames_folder(out: Path, videos: str) -> Path:
    """Return the folder for the pictures of a folder of videos, next to the list.

    Args:
        out: the list.
        videos: the resolved path or the address of the folder; a digest of it tells apart folders of the same name.
    """
    digest = hashlib.sha256(os.fsencode(videos)).hexdigest()[:8]
    return out.with_name(f"{videos.rpartition('/')[2] or 'videos'}-{digest}.frames")


def extract_frames(
    videos: Path, frames: Path, fps: float, stage: Callable[[str], Progress], unusable: Sequence[Skipped] = ()
) -> Scan:
    """Write ``fps`` pictures a second of every video below a folder, and return the pictures.

    A picture is named ``frames/VIDEO/HH-MM-SS.mmm.jpg``, by the video's path below the folder and the time at which
    the picture is shown. The first picture is the video's first; the next is the first one at least 1 / ``fps`` seconds
    later. Pictures of an unchanged video are reused. A video is extracted as a whole or not at all, so that an
    interrupted call resumes with the next video.

    Args:
        videos: folder of videos, at any depth.
        frames: folder to write to.
        fps: pictures a second, above 0.
        stage: starts a progress bar of a given title and returns its update function.
        unusable: videos to leave out, and why.

    Returns:
        The pictures of these videos, whatever else ``frames`` contains, and the damaged videos, with the time up to
        which there are pictures.

    Raises:
        DataError: the folder does not exist, has no video, or no picture could be taken; or ``frames`` has other files
            where pictures would be written.
    """
    if not videos.is_dir():
        raise DataError(
            f"{videos} is not a folder; --images with --fps takes a folder of videos ({', '.join(SUFFIXES)})."
        )
    scan = scan_images(videos, SUFFIXES).without(unusable)
    skipped = list(scan.skipped)
    if not len(scan.files):
        first = f" Left out: {skipped[0].name} ({skipped[0].reason})." if skipped else ""
        raise DataError(
            f"{videos} holds no video ({', '.join(SUFFIXES)}), at any depth; without --fps, images are read.{first}"
        )
    tick = stage(f"taking pictures from {len(scan.files):,} videos")
    for number, name in enumerate(scan.files.names):
        reason = _one_video(scan.files.locate(number), frames / name, fps)
        if reason:
            skipped.append(Skipped(name, reason))
        tick(number + 1, len(scan.files))
    pictures = scan_images(frames, (".jpg",)).files
    parts = [name.rpartition("/") for name in pictures.names]
    used = set(scan.files.names)
    ours = [folder in used and bool(_OURS.fullmatch(name)) for folder, _, name in parts]
    pictures = pictures.take(np.flatnonzero(np.array(ours, dtype=bool)))
    if not len(pictures):
        raise DataError(f"no picture could be taken from {videos}; the first: {skipped[0].name} ({skipped[0].reason}).")
    return Scan(pictures, tuple(sorted(skipped)), ())


def _one_video(video: Path, folder: Path, fps: float) -> str:
    """Write the pictures of one video, and return what is wrong with it; empty if nothing is."""
    try:
        made_of = {"sha256": content_sha256(video), "fps": fps}
    except OSError as error:
        return error.strerror or str(error)
    record = folder / _RECORD
    try:
        before = json.loads(record.read_text()) if record.exists() else {}
        theirs = folder.exists() and not record.exists() and any(path.name[0] != "." for path in folder.iterdir())
    except (OSError, ValueError):
        before, theirs = {}, True
    if theirs:
        raise DataError(f"{folder} holds files that are not frames of {video}; give another --out.")
    if {key: before.get(key) for key in made_of} == made_of:
        return str(before["reason"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".unfinished-", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
        unfinished = Path(temporary)
        reason, last = "", "the beginning"
        try:
            for last, picture in _pictures(video, fps):
                picture.save(unfinished / f"{last}.jpg", quality=_QUALITY)
        except Exception as error:  # PyAV raises what the damage happens to cause
            if isinstance(error, (MemoryError, PermissionError)):
                raise
            reason = f"damaged after {last}: {' '.join(str(error).split()) or type(error).__name__}"
        pictures = sorted(unfinished.iterdir())
        write_atomically(record, b"{}")  # if the process is killed from here on, the video is extracted again
        for path in pictures:
            path.replace(folder / path.name)
    # One by one: the folder may also contain the user's files, such as labels.
    now = {path.name for path in pictures}
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in now:
            path.unlink(missing_ok=True)
    write_atomically(record, json.dumps({**made_of, "reason": reason}).encode())
    return reason


def _pictures(video: Path, fps: float) -> Iterator[tuple[str, Image]]:
    """Yield the pictures of a video: the time as text that sorts by time, and the picture upright."""
    import av

    with av.open(str(video)) as container:
        if not container.streams.video:
            raise ValueError("it has no pictures")
        # Decodes frames in parallel: PyAV's default is slices, of which most videos have one per frame.
        container.streams.video[0].thread_type = "AUTO"
        first: float | None = None
        due = 0
        for frame in container.decode(video=0):
            time = frame.time if frame.time is not None else 0.0
            first = time if first is None else first
            # Times are fractions of the stream's clock: a picture due at 1.0 s may be at 0.9999999, hence the slack.
            if (time - first) * fps + 1e-6 < due:
                continue
            due = int((time - first) * fps + 1e-6) + 1
            picture = frame.to_image()
            yield _clock(time - first), picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
        if first is None:
            raise ValueError("it has no pictures")


def _clock(seconds: float) -> str:
    """Return a time as ``01-02-03.040``, without colons, which some file systems do not allow."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}-{minutes % 60:02}-{rest // 1000:02}.{rest % 1000:03}"
