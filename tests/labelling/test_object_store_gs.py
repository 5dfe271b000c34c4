"""A bucket behind a server of Google's protocol (gcp-storage-emulator), read by ``gcsfs`` in the command itself."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.labelling.cases import ODD_KEYS, picture

pytestmark = pytest.mark.integration

pytest.importorskip("gcp_storage_emulator", reason="the server of gs:// is no part of the dev extra: gRPC is large")
pytest.importorskip("gcsfs", reason="gcsfs is the extra gs")

SERVE = """
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bench-photos")
server.start()
print("port", server._api._httpd.server_port, flush=True)
server._api._httpd._BaseServer__is_shut_down.wait()
"""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a process finds ``gs://bench-photos``: 12 digits as pictures, a damaged one, a list."""
    log = tmp_path_factory.mktemp("gs") / "log"
    with log.open("wb") as file, subprocess.Popen([sys.executable, "-c", SERVE], stdout=file, stderr=file) as process:
        try:
            while not (found := re.search(r"^port (\d+)", log.read_text(), re.MULTILINE)):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            address = f"http://127.0.0.1:{found[1]}"
            names = [*(f"{number}.png" for number in range(9)), *ODD_KEYS]
            files = {f"photos/{name}": picture(number) for number, name in enumerate(names)}
            files |= {"photos/broken.png": b"no image", "labelled.csv": b"file,label\n0.png,zero\n1.png,one\n"}
            for key, content in files.items():
                url = f"{address}/upload/storage/v1/b/bench-photos/o?uploadType=media&name={quote(key, safe='')}"
                with urllib.request.urlopen(urllib.request.Request(url, content, method="POST")) as answer:
                    assert answer.status == 200
            # Without the last, gcsfs waits a minute for an answer by gRPC, which the emulator does not give.
            yield {"STORAGE_EMULATOR_HOST": address, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
        finally:
            process.kill()


def select(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = ("--cache-dir", "cache", "--threads", "1", "--device", "cpu", "--classes", "2", "--out", "x.csv", "-q")
    usual = ("--encoder", "pixels", "--image-size", "16", "--method", "random", "--overwrite")
    return subprocess.run(
        [sys.executable, "-m", "bench", "select", *given, *usual, *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def _column(path: Path, name: str) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_pictures_of_a_bucket_are_chosen_and_handed_over_by_their_keys(bucket: dict[str, str], tmp_path: Path) -> None:
    images = ("--images", "gs://bench-photos/photos")
    done = select(bucket, tmp_path, *images, "--budget", "12", "--format", "label-studio,cvat")
    assert done.returncode == 0, done.stderr
    expected = {*(f"{number}.png" for number in range(9)), *ODD_KEYS}
    assert {name.removeprefix("./") for name in _column(tmp_path / "x.csv", "file")} == expected
    assert _column(tmp_path / "x.skipped.csv", "file") == ["broken.png"]
    tasks = json.loads((tmp_path / "x.label-studio.json").read_text(encoding="utf-8"))
    assert {task["data"]["image"] for task in tasks} == {f"gs://bench-photos/photos/{name}" for name in expected}
    done = select(bucket, tmp_path, *images, "--budget", "10", "--labelled", "gs://bench-photos/labelled.csv")
    assert done.returncode == 0, done.stderr
    assert {name.removeprefix("./") for name in _column(tmp_path / "x.csv", "file")} == expected - {"0.png", "1.png"}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("gs://no-such-bucket/photos", "cannot list gs://no-such-bucket/photos"),
        ("gs://bench-photos/nothing", "gs://bench-photos/nothing"),
    ],
)
def test_what_a_bucket_does_not_hold_is_one_line(
    bucket: dict[str, str], tmp_path: Path, address: str, message: str
) -> None:
    done = select(bucket, tmp_path, "--images", address, "--budget", "2")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.csv").exists()
