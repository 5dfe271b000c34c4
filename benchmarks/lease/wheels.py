"""Collect the wheels that a machine without a network lacks.

python -m benchmarks.lease.wheels TO --have LIST [--python 3.12] [--platform manylinux2014_x86_64 ...]

LIST is a file of the packages that the machine has, as `pip list` or a line of names with commas gives them. The rest
of what this environment has installed for the harness is fetched by pip, at the same versions, and so is what is too
old there; never torch, Ray and faiss, without which a lease runs.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEVER = {"coreset-bench", "torch", "torchvision", "triton", "ray", "faiss-cpu", "tensorboardx"}
EXTRAS: tuple[str, ...] = ("lite0",)
TESTS = ("pytest", "pytest-timeout", "hypothesis")
"""What the tests that need a GPU import, and what the options of pytest in pyproject.toml ask for."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def needed(have: Mapping[str, str], python: str) -> dict[str, str]:
    """Name -> version of what the harness and its tests need here and a machine lacks, with all that these need.

    Args:
        have: name -> version of what the machine has; "" is a version that is not known, and fits.
        python: its Python's version.
    """
    there = {canonicalize_name(name): version for name, version in have.items()}
    found: dict[str, str] = {}
    waiting = [(text, EXTRAS) for text in distribution("coreset-bench").requires or ()]
    waiting += [(name, ()) for name in TESTS]
    while waiting:
        text, extras = waiting.pop()
        requirement = Requirement(text)
        marks = [{"extra": extra, "python_version": python} for extra in (*extras, "")]
        if requirement.marker and not any(map(requirement.marker.evaluate, marks)):
            continue
        wanted = canonicalize_name(requirement.name)
        version = there.get(wanted)
        fits = version == "" or (version and requirement.specifier.contains(version, prereleases=True))
        if fits or wanted in NEVER or wanted in found:
            continue
        try:
            installed = distribution(wanted)
        except PackageNotFoundError:
            continue  # not needed here either
        found[wanted] = installed.version
        waiting += [(text, tuple(requirement.extras)) for text in installed.requires or ()]
    return found


def packages_in(text: str) -> dict[str, str]:
    """Name -> version of the packages of a list by lines or commas; "" where the list has no version."""
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    matches = (re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:(?:==|\s+)(\d[\w.!+-]*))?", part) for part in parts)
    return {found[1]: found[2] or "" for found in matches if found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch the wheels."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lease.wheels")
    parser.add_argument("to", type=Path)
    parser.add_argument("--have", type=Path, required=True, help="What `pip list` prints on the machine.")
    parser.add_argument("--python", default="3.12", help="The machine's; default: 3.12.")
    parser.add_argument("--platform", action="append", help=f"As pip names it; default: {', '.join(PLATFORMS)}.")
    given = parser.parse_args(arguments)
    if not given.have.is_file():
        parser.error(f"--have {given.have} is no file; `pip list > FILE` on the machine writes it")
    wanted = needed(packages_in(given.have.read_text(encoding="utf-8")), given.python)
    platforms = [word for name in given.platform or PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(given.to)]
    command += ["--python-version", given.python, *platforms]
    done = subprocess.run([*command, *(f"{name}=={version}" for name, version in sorted(wanted.items()))], check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
