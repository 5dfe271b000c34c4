"""Named pipes, devices, sockets and endless files in the place of a file: refused, without being waited for."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.plain_files import open_regular, read_regular

pytestmark = pytest.mark.timeout(20)  # a pipe that is opened all the same is waited for


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def link_to(target: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.symlink_to(target)
        return path

    return make


def bound_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


SPECIAL = [
    (pipe, "it is a named pipe, not a regular file"),
    (bound_socket, "it is a socket, not a regular file"),
    (folder, "it is a folder, not a file"),
    (link_to("/dev/zero"), "it is a character device, not a regular file"),
    (link_to("missing"), "No such file or directory"),
    (link_to("x"), "Too many levels of symbolic links"),
]


@pytest.mark.parametrize(("make", "reason"), SPECIAL)
def test_what_is_no_regular_file_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    path = make(Path("x"))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    for read in (open_regular, lambda path: read_regular(path, at_most=10)):
        with pytest.raises(OSError, match=reason) as caught:
            read(path)
        assert caught.value.strerror == reason


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    before, path = (tmp_path / "file").stat(), pipe(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda _: before)
    with pytest.raises(OSError, match="named pipe"):
        open_regular(path)


def test_what_is_read_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert read_regular(path, at_most=10) == b"0123456789"
    assert read_regular(Path("/proc/self/status"), at_most=1 << 20).startswith(b"Name:"), "its stated size is 0"
    for at_most in (9, 0):
        with pytest.raises(OSError, match=f"it holds more than {at_most} B") as caught:
            read_regular(path, at_most=at_most)
        assert caught.value.errno == errno.EFBIG


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"
