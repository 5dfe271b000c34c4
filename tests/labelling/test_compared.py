"""``bench select --compare``: the judged leaderboard of several methods, before anybody has labelled anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.conformance.samples import digits
from bench.errors import UnknownName
from bench.grammar import Call, parse_call
from bench.labelling.compared import comparing, judgement_lines
from bench.plugins import methods


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, digits().source.embeddings())
    return path


def select(vectors: Path, *options: str) -> str:
    given = ["select", "--embeddings", str(vectors), "--budget", "20", "--classes", "10", "--quiet", "--overwrite"]
    places = ["--out", str(vectors.parent / "out.csv"), "--cache-dir", str(vectors.parent / "cache")]
    done = CliRunner().invoke(app, [*given, *places, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_best_of_several_methods_is_written_and_all_are_told(vectors: Path) -> None:
    methods = ["--compare", "--method", "prototypicality,typiclust"]
    said = json.loads(select(vectors, *methods, "--json"))
    assert said["method"] == "auto(candidates='prototypicality,typiclust')"
    assert list(said["judged"])[:2] == ["prototypicality", "typiclust"]
    assert said["taken"] == "typiclust"
    assert said["judged"]["typiclust"] > said["judged"]["prototypicality"] + 0.1
    written = (vectors.parent / "out.csv").read_text().splitlines()
    select(vectors, "--method", "typiclust")
    alone = (vectors.parent / "out.csv").read_text().splitlines()
    assert sorted(line.split(",")[1] for line in written) == sorted(line.split(",")[1] for line in alone)
    shown = [line.split() for line in select(vectors, *methods).splitlines() if line.startswith("  ")]
    assert shown[0][0] == "typiclust"
    assert {words[0] for words in shown} == {"typiclust", "prototypicality", "at"}
    assert shown[0][-1] == "taken"


@pytest.mark.long
def test_without_names_the_candidates_are_those_of_auto(vectors: Path) -> None:
    said = json.loads(select(vectors, "--compare", "--json"))
    assert said["method"] == "auto"
    assert {"typiclust", "kmeans-sampling", "random 5"} <= said["judged"].keys()


def test_what_is_taken_by_default_can_be_compared_too(vectors: Path) -> None:
    said = json.loads(select(vectors, "--compare", "--method", "default,typiclust", "--json"))
    assert list(said["judged"])[:2] == ["kmeans-sampling", "typiclust"]


@pytest.mark.parametrize("options", [["--compare", "--method", "kmeans-samplin,typiclust"], ["--method", "typiclst"]])
def test_a_name_that_is_none_is_told_those_without_labels(vectors: Path, options: list[str]) -> None:
    given = ["select", "--embeddings", str(vectors), "--budget", "20", "--classes", "10", "--quiet", *options]
    done = CliRunner().invoke(app, [*given, "--out", str(vectors.parent / "new.csv")])
    assert isinstance(done.exception, UnknownName)
    listed = str(done.exception).rpartition("Valid: ")[2].partition(". ")[0].split(", ")
    infos = {item.name: item.info for item in methods}
    assert {"typiclust", "kmeans-sampling", "elfs"} <= set(listed)
    assert all(infos[name].supervision in ("none", "pseudo") and not infos[name].unpruned for name in listed)


def test_a_leaderboard_that_chance_wins_says_so() -> None:
    judged = {"kcenter": 0.4, "random 1": 0.5, "random 2": 0.6}
    lines = list(judgement_lines(judged, "random 1"))
    assert lines[1:] == ["  at random  55.0 (50.0 to 60.0)  <- taken", "  kcenter    40.0"]


@pytest.mark.parametrize("named", ["default", "auto", " auto "])
def test_auto_alone_is_no_candidate_of_itself(named: str) -> None:
    """Only ``auto`` was judged, and the page did not tell which method that had been."""
    assert comparing(named, "default", parse_call) == Call("auto", {})
