"""A row's hash is that of its configuration, and a new hash does not make an untruth true."""

from __future__ import annotations

import pytest

from bench.results.claims import Unchecked
from tests.claim_fixtures import Change, Write, earlier, findings, inside, problems, rehashed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"variant": "ccs(beta=0.2)", "params": {"beta": 0.2}}, "stages: selection"),
        ({"variant": "ccs(beta=0.9)", "params": {"beta": 0.9}}, "beta=0.9 is not valid at rate 0.7"),
        ({"fingerprint": "f" * 64}, "fingerprint: ffffffffffff"),
        (inside("proxy_recipe", proxy_epochs=200), "stages: dynamics"),
    ],
)
def test_a_new_hash_does_not_make_an_untruth_true(forged: Write, changes: Change, says: str) -> None:
    found = problems(rehashed(forged(changes)))
    assert not [problem for problem in found if "config_sha256" in problem or "cell_id" in problem]
    assert any(says in problem for problem in found), found


@pytest.mark.parametrize("version", [1, 2, 3])
def test_what_earlier_rows_do_not_say_is_told_apart_from_what_is_wrong(forged: Write, version: int) -> None:
    found = findings(forged(earlier(version)))
    assert all(isinstance(finding, Unchecked) for finding in found), found
    assert any("hash" in finding for finding in found) == (version == 1)
    assert any("code that selected" in finding for finding in found) == (version < 3)


@pytest.mark.parametrize("of", ["transfer", "noisy"])
def test_a_hash_that_an_earlier_row_does_not_hold_whole_is_told(forged: Write, of: str) -> None:
    path = forged(earlier(3), of=of)
    found = findings(path)
    assert any(isinstance(finding, Unchecked) and "hash" in finding for finding in found)
    assert problems(path) == []
