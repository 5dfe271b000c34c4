"""Where an encoder's weights file lies: given by the user, already on this machine, or downloaded when asked."""

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
"""How long a host may take to accept a connection before a download is given up."""
DOWNLOAD = "add --download"
"""The remedy of weights that can be fetched."""
_CHUNK = 1 << 20
_OFFLINE = ("pixels", "efficientnet_lite0")


class Weights(Protocol):
    """A weights file that an encoder declares. ``str()`` of it says which one, for messages."""

    @property
    def remedy(self) -> str:
        """What the user types to get the file."""
        ...

    def find(self) -> Path | None:
        """Return the file if it is on this machine already, without touching the network."""
        ...

    def fetch(self) -> Path:
        """Download the file.

        Raises:
            WeightsError: it cannot be had; without a network, within ``PROBE_SECONDS``.
        """
        ...


@dataclass(frozen=True)
class UrlWeights:
    """A file at a fixed address, kept in torch.hub's checkpoint folder so that other tools' copies are found.

    Args:
        url: https address.
        sha256_prefix: first characters of the file's SHA-256, checked after a download; None where none is published.
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
        """Download into torch.hub's checkpoint folder; the file appears there only when it is complete.

        Raises:
            WeightsError: no network, a refused or broken download, or another SHA-256.
        """
        probe_host(self.url)
        target = _checkpoint_folder() / Path(urllib.parse.urlsplit(self.url).path).name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # In the same folder, since only within one file system a rename is atomic.
            handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=target.parent)
        except OSError as error:
            raise WeightsError(f"cannot write to {target.parent}: {error.strerror or error}.") from error
        digest = hashlib.sha256()
        try:
            with os.fdopen(handle, "wb") as file, urllib.request.urlopen(self.url, timeout=30) as answer:
                while chunk := answer.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                # A connection that is cut ends the loop as the end of the file does.
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
    """One of torchvision's weights, by the name that ``torchvision.models.get_weight`` knows."""

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
        beside: small files of the same repository without which the weights cannot be used.
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
        """Return the file in the hub's cache, or None, also where ``huggingface_hub`` is not installed."""
        try:
            from huggingface_hub import try_to_load_from_cache
        except ModuleNotFoundError:
            return None
        paths = [try_to_load_from_cache(self.repository, name) for name in (self.filename, *self.beside)]
        # A sentinel object, neither a path nor None, says that the hub is known not to have the file.
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
            # The weights last, since their path is the answer.
            for name in (*self.beside, self.filename):
                path = hf_hub_download(self.repository, name, etag_timeout=PROBE_SECONDS)
        except Exception as error:  # the hub's errors share no base class across its releases
            raise WeightsError(f"cannot download {self}: {error}") from error
        return Path(path)


@dataclass(frozen=True)
class OwnWeights:
    """A file that only the user can give: nobody publishes one for what was asked for.

    Args:
        what: the network, for messages.
        remedy: what the user types.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"weights of {self.what}"

    def find(self) -> Path | None:
        """Nothing."""
        return None

    def fetch(self) -> Path:
        """Never downloads.

        Raises:
            WeightsError: always.
        """
        raise WeightsError(f"there are no published {self}; {self.remedy}.")


@dataclass(frozen=True)
class PackageWeights:
    """A file that a Python package ships.

    Args:
        module: import name of the package; it is located, never imported.
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
        """Never downloads: installing packages is the user's business.

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
    """Find the weights file of an encoder: the user's own, one on this machine, or a download if allowed.

    Args:
        entry: the encoder as registered.
        params: its parameters that the user set.
        local: file that the user gave as ``NAME(weights=FILE)``; it wins over every other.
        download: whether the network may be used.

    Returns:
        An existing file, or None for an encoder that has no weights.

    Raises:
        WeightsError: there is no such file, or it is absent and cannot be had; the message says what to type.
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
    # Of a file of one's own it must be said what it was trained with; of the published one, this.
    told = {"supervision": entry.info.trained_with(params)} if "supervision" in entry.params else {}
    call = Call(entry.name, {**params, **told, "weights": "FILE"})
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
    """SHA-256 of the weights file; of several files that the embeddings depend on, of their digests one after another.

    Raises:
        WeightsError: one of them cannot be read.
    """
    digests = [file_sha256(file) for file in entry.info.files(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def is_published(weights: Weights, path: Path) -> bool:
    """Whether a file is the published one, by its digest's first characters or a copy on this machine.

    Raises:
        WeightsError: it cannot be read.
    """
    digest, prefix = file_sha256(path), getattr(weights, "sha256_prefix", None)
    if prefix:
        return digest.startswith(prefix)
    published = weights.find()
    return published is not None and file_sha256(published) == digest


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        WeightsError: it cannot be read.
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
    """Open and close a connection to the host of ``url``, or to the proxy that leads there.

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

    # Name resolution takes no timeout of its own and can hang for half a minute, hence the thread.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    reason = outcome[0] if outcome else f"no answer within {PROBE_SECONDS:g} s"
    if reason:
        raise WeightsError(f"there is no network: {address[0]} cannot be reached ({reason}).")


def _checkpoint_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"
