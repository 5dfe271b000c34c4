"""A row's class counts and coreset labels are compared with data that is here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from bench.results.claims import Unchecked
from bench.results.claims.labels import DataAtHand
from bench.results.validation import findings_of
from tests.claim_fixtures import RESULTS, Write, findings
from tests.row_fixtures import problems_of


def test_data_that_is_not_here_is_told(forged: Write, tmp_path: Path) -> None:
    found = findings_of(forged({"dataset": "cifar10(pool_size=300)"}), DataAtHand(tmp_path))
    told = [finding for finding in found if isinstance(finding, Unchecked)]
    assert told == ["labels: cifar10 is not on this machine (--data-root)"]


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ("cifar10@corruption=fog:3", "labels: cifar10@corruption=fog:3 is not on this machine (--data-root)"),
        # A row may not name a file for us to open.
        ("digits@labels=/etc/passwd.txt", "labels: digits@labels=/etc/passwd.txt has labels of a file of your own"),
    ],
)
def test_what_rests_on_files_that_are_not_here_is_told(forged: Write, tmp_path: Path, dataset: str, says: str) -> None:
    found = findings_of(forged({"dataset": dataset}), DataAtHand(tmp_path))
    assert says in [finding for finding in found if isinstance(finding, Unchecked)]


def test_data_in_a_folder_is_compared_where_the_folder_is_given(tmp_path: Path) -> None:
    """A committed row on real CIFAR-10, as it is and with its class counts in another order."""
    root = Path(os.environ.get("BENCH_SHARED", RESULTS.parents[1] / "shared")) / "data"
    if not (root / "cifar-10-batches-py").is_dir():
        pytest.skip(f"CIFAR-10 is not in {root}")
    data, source = DataAtHand(root), RESULTS / "does-elfs-win" / "cifar10-5k"
    path = next((source / "rows").glob("*elfs*.json"))
    assert not [finding for finding in findings_of(path, data) if finding.startswith("labels: ")]
    for folder in ("rows", "indices"):
        shutil.copytree(source / folder, tmp_path / folder)
    fields = json.loads(path.read_bytes())
    copy = tmp_path / "rows" / path.name
    copy.write_text(json.dumps(fields | {"class_counts": sorted(fields["class_counts"])}))
    [problem] = problems_of(copy, data)
    assert problem.startswith("class_counts: ")


@pytest.mark.parametrize("name", ["folder(path=/dev)", "npz(path=/dev/zero)"])
def test_a_row_cannot_have_a_file_of_its_choice_opened(forged: Write, name: str) -> None:
    found = findings(forged({"dataset": name, "pool_size": 300}))
    assert any("is not a built-in data set, or reads your own files" in finding for finding in found)
