"""Locating an encoder's weights file: the user's own, one on this machine, or a download if it is allowed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from bench.errors import WeightsError, install_command
from bench.grammar import Call
from bench.plugins import EncoderInfo
from bench.registry import Entry

PROBE_SECONDS = 3.0
"""Longest time to wait for a connection to a host before a download is given up."""
DOWNLOAD = "add --download"
"""Advice for weights that can be fetched."""
_CHUNK = 1 << 20
_OFFLINE = ("pixels", "efficientnet_lite0")


class Weights(Protocol):
    """A weights file that an encoder declares; its ``str()`` names it in messages."""

    @property
    def remedy(self) -> str:
        """What the user types to get the file."""
        ...

    def find(self) -> Path | None:
        """Return the file if it is on this machine, without using the network."""
        ...

    def fetch(self) -> Path:
        """Download the file and return its path.

        Raises:
            WeightsError: the file cannot be fetched; without a network, within ``PROBE_SECONDS``.
        """
        ...


@dataclass(frozen=True)
class UrlWeights:
    """A file at a fixed address, stored in torch.hub's checkpoint folder, where other tools may have a copy.

    Args:
        url: https address.
        sha256_prefix: first characters of the file's SHA-256, checked after a download; None if none is published.
    """

    url: str
    sha256_prefix: str | None = None
    remedy = DOWNLOAD

    def __str__(self) -> str:
        return self.url

    def find(self) -> Path | None:
        """Return the file in torch.hub's checkpoint folder, or None."""
        target = _checkpoint_folder() / Path(urllib.parse.urlsplit(self.url).path).name
        return target if target.is_file() else None

    def fetch(self) -> Path:
        """Download into torch.hub's checkpoint folder and return the path; the file appears only when it is complete.

        Raises:
            WeightsError: there is no network, the download fails, or the SHA-256 differs.
        """
        probe_host(self.url)
        target = _checkpoint_folder() / Path(urllib.parse.urlsplit(self.url).path).name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # In the same folder, since renaming is only atomic inside a file system.
            handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=target.parent)
        except OSError as error:
            raise WeightsError(f"cannot write to {target.parent}: {error.strerror or error}.") from error
        digest = hashlib.sha256()
        try:
            with os.fdopen(handle, "wb") as file, urllib.request.urlopen(self.url, timeout=30) as answer:
                while chunk := answer.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                # A broken connection ends the loop just like the end of the file.
                promised = answer.headers.get("Content-Length")
                if promised is not None and file.tell() != int(promised):
                    raise WeightsError(f"the download of {self.url} broke off at {file.tell()} of {promised} bytes.")
            if not digest.hexdigest().startswith(self.sha256_prefix or ""):
                raise WeightsError(
                    f"{self.url} was downloaded but its SHA-256 is {digest.hexdigest()}, expected "
                    f"{self.sha256_prefix}...; the file was discarded."
                )
            Path(temporary).replace(target)
        except (OSError, urllib.error.URLError) as error:
            raise WeightsError(f"cannot download {self.url}: {error}.") from error
        finally:
            Path(temporary).unlink(missing_ok=True)
        return target


@dataclass(frozen=True)
class TorchvisionWeights:
    """Weights of torchvision, by their name for ``torchvision.models.get_weight``."""

    name: str
    remedy = DOWNLOAD

    def __str__(self) -> str:
        return f"torchvision's {self.name}"

    @property
    def sha256_prefix(self) -> str | None:
        """First characters of the file's SHA-256."""
        return self._file().sha256_prefix

    def find(self) -> Path | None:
        """Return the file in torch.hub's checkpoint folder, or None."""
        return self._file().find()

    def fetch(self) -> Path:
        """Download the file; see ``UrlWeights.fetch``."""
        return self._file().fetch()

    def _file(self) -> UrlWeights:
        from torchvision.models import get_weight

        url: str = get_weight(self.name).url
        # torchvision ends its file names with the first eight characters of the SHA-256.
        return UrlWeights(url, Path(url).stem.rpartition("-")[2])


@dataclass(frozen=True)
class HubWeights:
    """A safetensors file of a repository on the Hugging Face hub: tensors only, no code.

    Args:
        repository: for example ``timm/vit_base_patch16_224.dino``.
        filename: file in that repository.
        beside: small files of the same repository that the weights need.
        extra: the extra of this project that installs ``huggingface_hub``.
    """

    repository: str
    filename: str = "model.safetensors"
    beside: tuple[str, ...] = ()
    extra: str = "vit"
    remedy = DOWNLOAD

    def __str__(self) -> str:
        return f"{self.repository} on the Hugging Face hub"

    def find(self) -> Path | None:
        """Return the file in the hub's cache, or None; also None if ``huggingface_hub`` is not installed."""
        try:
            from huggingface_hub import try_to_load_from_cache
        except ModuleNotFoundError:
            return None
        paths = [try_to_load_from_cache(self.repository, name) for name in (self.filename, *self.beside)]
        # A sentinel object, neither a path nor None, means that the hub does not have the file.
        return Path(paths[0]) if isinstance(paths[0], str) and all(isinstance(item, str) for item in paths) else None

    def fetch(self) -> Path:
        """Download into the hub's cache.

        Raises:
            WeightsError: ``huggingface_hub`` is missing, there is no network, or the hub refuses.
        """
        try:
            from huggingface_hub import constants, hf_hub_download
        except ModuleNotFoundError as error:
            raise WeightsError(f"{error.name} is not installed; run {install_command(self.extra)}.") from error
        probe_host(constants.ENDPOINT)
        try:
            # The weights last, since their path is returned.
            for name in (*self.beside, self.filename):
                path = hf_hub_download(self.repository, name, etag_timeout=PROBE_SECONDS)
        except Exception as error:  # the hub's errors share no base class across its releases
            raise WeightsError(f"cannot download {self}: {error}") from error
        return Path(path)


@dataclass(frozen=True)
class OwnWeights:
    """A file that only the user can provide, since none is published.

    Args:
        what: the network, for messages.
        remedy: what the user types.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"weights of {self.what}"

    def find(self) -> Path | None:
        """Return None."""
        return None

    def fetch(self) -> Path:
        """Refuse to download.

        Raises:
            WeightsError: always.
        """
        raise WeightsError(f"there are no published {self}; {self.remedy}.")


@dataclass(frozen=True)
class PackageWeights:
    """A file in a Python package.

    Args:
        module: import name of the package, which is located but not imported.
        filename: path inside the package.
        extra: the extra of this project that installs the package.
    """

    module: str
    filename: str
    extra: str

    def __str__(self) -> str:
        return f"{self.filename} of the package {self.module}"

    @property
    def remedy(self) -> str:
        """The command that installs the package."""
        return f"run {install_command(self.extra)}"

    def find(self) -> Path | None:
        """Return the file in the installed package, or None."""
        spec = importlib.util.find_spec(self.module)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (target := Path(folder, self.filename)).is_file():
                return target
        return None

    def fetch(self) -> Path:
        """Refuse to download: the user must install the package.

        Raises:
            WeightsError: always.
        """
        raise WeightsError(f"{self} is not installed; {self.remedy}.")


def locate_weights(
    entry: Entry[EncoderInfo],
    params: Mapping[str, Any] = MappingProxyType({}),
    *,
    local: Path | None = None,
    download: bool = False,
) -> Path | None:
    """Return the weights file of an encoder: the user's own, one on this machine, or a download if it is allowed.

    Args:
        entry: the encoder as registered.
        params: its parameters that the user set.
        local: the user's file, ``NAME(weights=FILE)``, which is preferred to all others.
        download: whether the network may be used.

    Returns:
        An existing file, or None for an encoder without weights.

    Raises:
        WeightsError: the file is missing and cannot be fetched; the message says what to type.
    """
    weights: Weights | None = entry.info.weights_of(params)
    if weights is None:
        if local is not None:
            raise WeightsError(f"encoder {entry.name!r} has no weights, but weights={local} was given; leave it out.")
        return None
    try:
        if local is not None and not Path(local).is_file():
            raise WeightsError(f"encoder {entry.name!r}: weights={local} is not a file.")
        path = weights.find() if local is None else Path(local)
    except OSError as error:
        raise WeightsError(f"encoder {entry.name!r}: cannot look for {local or weights}: {error}.") from error
    if path is not None:
        return path
    offline = ", ".join(name for name in _OFFLINE if name != entry.name)
    # The user must state the supervision of a file; the advice has that of the published one.
    stated = {"supervision": entry.info.trained_with(params)} if "supervision" in entry.params else {}
    call = Call(entry.name, {**params, **stated, "weights": "FILE"})
    ways = f"give a file as {call}, or take an offline encoder ({offline})"
    if not download:
        raise WeightsError(
            f"encoder {entry.name!r} needs {weights}, which is not on this machine: {weights.remedy}, {ways}."
        )
    try:
        return weights.fetch()
    except WeightsError as error:
        raise WeightsError(f"encoder {entry.name!r}: {error} Otherwise {ways}.") from error


def weights_digest(entry: Entry[EncoderInfo], path: Path) -> str:
    """Return the SHA-256 of the weights file, or of the joined digests if embeddings depend on several files.

    Raises:
        WeightsError: a file cannot be read.
    """
    digests = [file_sha256(file) for file in entry.info.files(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def is_published(weights: Weights, path: Path) -> bool:
    """Return whether a file is the published one, by its digest's first characters or a copy on this machine.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest, prefix = file_sha256(path), getattr(weights, "sha256_prefix", None)
    if prefix:
        return digest.startswith(prefix)
    published = weights.find()
    return published is not None and file_sha256(published) == digest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise WeightsError(f"cannot read the weights file {path}: {error.strerror}.") from error
    return digest.hexdigest()


def probe_host(url: str) -> None:
    """Check that the host of ``url``, or its proxy, accepts a connection.

    Raises:
        WeightsError: no connection within ``PROBE_SECONDS``.
    """
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    address = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    outcome: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=PROBE_SECONDS).close()
            outcome.append("")
        except OSError as error:
            outcome.append(str(error))

    # Name resolution has no timeout and can hang for half a minute, hence the thread.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    reason = outcome[0] if outcome else f"no answer within {PROBE_SECONDS:g} s"
    if reason:
        raise WeightsError(f"there is no network: {address[0]} cannot be reached ({reason}).")


def _checkpoint_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"
