"""CIFAR-10-C and CIFAR-100-C: the test images under 19 corruptions at 5 severities (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import DataError
from bench.data import Split
from bench.datasets._cifar_files import unpack
from bench.datasets._common import required_root
from bench.plain_files import open_regular
from bench.plugins import Corrupted

NAMES = (
    *("brightness", "contrast", "defocus_blur", "elastic_transform", "fog", "frost", "gaussian_blur"),
    *("gaussian_noise", "glass_blur", "impulse_noise", "jpeg_compression", "motion_blur", "pixelate", "saturate"),
    *("shot_noise", "snow", "spatter", "speckle_noise", "zoom_blur"),
)
SEVERITIES = 5


def corrupted_cifar(folder: str, record: int, md5: str) -> Corrupted:
    """Return the declaration of CIFAR-10-C or CIFAR-100-C.

    Args:
        folder: its directory below ``--data-root``, named as in the authors' archive.
        record: number of the archive's record on Zenodo.
        md5: the archive's MD5, as Zenodo lists it.
    """

    def read(root: Path | None, name: str, severity: int, test: Split, download: bool) -> Split:
        base = required_root(root, folder)
        files = [base / folder / f"{name}.npy", base / folder / "labels.npy"]
        missing = [path for path in files if not path.is_file()]
        if missing and download:
            _fetch(base, folder, record, md5)
        elif missing:
            raise DataError(
                f"{missing[0]} is missing. Use --data-root DIR, where DIR holds {folder}, or --download to fetch its "
                f"archive of 2.9 GB into {base}."
            )
        return _severity(files[0], files[1], severity, test)

    return Corrupted(NAMES, SEVERITIES, read)


def _fetch(base: Path, folder: str, record: int, md5: str) -> None:
    from torchvision.datasets.utils import download_url

    archive = f"{folder}.tar"
    try:
        download_url(f"https://zenodo.org/records/{record}/files/{archive}", base, archive, md5)
        # All files at once, so that the archive can be deleted.
        unpack(base / archive, [f"{folder}/{name}.npy" for name in (*NAMES, "labels")], base)
    except Exception as error:  # no network, a full disk, another archive: each raises its own
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise DataError(
            f"{base / archive} could not be fetched: {reason}. Fetch it by hand, or check the network."
        ) from error


def _severity(images: Path, labels: Path, severity: int, test: Split) -> Split:
    """Return the images of one severity; the files hold all test images at severity 1, then all at 2, and so on."""
    arrays = []
    for path in (images, labels):
        try:
            open_regular(path).close()
            # Memory-mapped: a file of all severities has 154 MB, and a fifth of it is used.
            arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} is corrupt: {error}.") from error
    number, (channels, height, width) = len(test), test.images.shape[1:]
    shape = (SEVERITIES * number, height, width, channels)
    pixels, numbers = arrays
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        raise DataError(f"{images} holds {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape {shape}.")
    part = slice((severity - 1) * number, severity * number)
    if numbers.shape != shape[:1] or not np.array_equal(numbers[part], test.labels):
        raise DataError(f"{labels} are not the labels of this data set's test images: it belongs to another one.")
    return Split(np.ascontiguousarray(pixels[part].transpose(0, 3, 1, 2)), test.labels)
