"""What ``bench select`` prints about a choice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.cli._choice_report import headline, report

SUMMARY: dict[str, Any] = {
    "budget": 1200,
    "items": 20_000,
    "method": "elfs",
    "chosen": {"beta": 0.25},
    "judged": {},
    "taken": None,
    "clusters": 9,
    "clusters_in_all": 10,
    "clusters_with_labelled": 10,
    "whole_groups": None,
    "labelled": 0,
    "listed_without_label": 0,
    "approximate_neighbors": False,
    "duplicates_left_out": 0,
    "grouped_left_out": 0,
    "skipped_files": 0,
    "warnings": [],
    "to_label": "to_label.csv",
}


def test_the_headline_counts_items_clusters_and_groups() -> None:
    assert headline(SUMMARY) == "1,200 of 20,000 items chosen by elfs, beta = 0.25, from 9 of 10 clusters."
    assert headline({**SUMMARY, "whole_groups": 1, "chosen": {}}).endswith("from 9 of 10 clusters, in 1 whole group.")
    assert headline({**SUMMARY, "clusters": None}).endswith("chosen by elfs, beta = 0.25.")


def test_only_what_happened_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    report(SUMMARY, False)
    first, about_beta, written = capsys.readouterr().out.splitlines()
    assert (first, written) == (headline(SUMMARY), "Written: to_label.csv")
    assert about_beta.startswith("beta was chosen without labels")
    more = {
        "chosen": {},
        "labelled": 3,
        "listed_without_label": 1,
        "duplicates_left_out": 1500,
        "grouped_left_out": 2,
        "skipped_files": 4,
        "skipped": "to_label.skipped.csv",
        "other_files": {".txt": 2, "": 1},
        "handed_over": ["to_label.coco.json"],
    }
    report({**SUMMARY, **more}, False)
    said = capsys.readouterr().out
    for line in (
        "They complement 3 labelled items; 1 line of that list without a label did not count. "
        "Together they come from 10 of 10 clusters.",
        "Near-duplicates left out: 1,500.",
        "Left out by --per-group: 2.",
        "Files that could not be read: 4, listed in to_label.skipped.csv",
        "Files of other kinds, which were ignored: 2 .txt, 1 without suffix.",
        "Written: to_label.csv, to_label.coco.json",
    ):
        assert line in said
    assert "beta" not in said


def test_json_is_the_summary_and_warnings_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    report({**SUMMARY, "warnings": ["few clusters"]}, True)
    said = capsys.readouterr()
    assert json.loads(said.out) == {**SUMMARY, "warnings": ["few clusters"]}
    assert said.err == "Warning: few clusters\n"
