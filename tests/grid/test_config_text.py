"""Configuration files mean what they show: scalars of YAML 1.2, no aliases that grow, no key that another replaces."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import SpecError
from bench.grid.config_text import MOST_CHARACTERS, parse_config
from bench.grid.spec import load_spec

ROOT = Path(__file__).parents[2]
OURS = sorted([*(ROOT / "bench" / "presets").glob("*.yaml"), *(ROOT / "results").rglob("grid.yaml")])
NINE = "\n".join(f"  - &v{level} [{', '.join([f'*v{level - 1}'] * 9)}]" for level in range(1, 10))
BOMB = f"rates:\n  - &v0 [0.1, 0.2, 0.3]\n{NINE}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1:30", "1:30"),
        ("1:30.5", "1:30.5"),
        ("010", 10),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("2025-11-24", "2025-11-24"),
        ("=", "="),
        ("1e-4", 1e-4),
        ("5.", 5.0),
        (".5", 0.5),
        ("-7", -7),
        ("+.inf", math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'1'", "1"),
        ("1 ", 1),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        (".", "."),
        ("٣", "٣"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(written: str, meant: Any) -> None:
    read = parse_config(f"a: {written}\n", "text")["a"]
    assert (read, type(read)) == (meant, type(meant))


def test_what_is_no_number_is_nan() -> None:
    assert math.isnan(parse_config("a: .nan", "text")["a"])


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_own_configurations_mean_the_same_by_both_versions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse_config(text, "text") == yaml.safe_load(text)


@pytest.mark.timeout(60)  # 9^9 values take minutes and gigabytes
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "with its aliases expanded it holds more than 200,000 characters"),
        (BOMB.replace("rates", "seeds"), "with its aliases expanded it holds more than 200,000 characters"),
        (f"a: &a '{'x' * 1000}'\nb: [{', '.join(['*a'] * 1000)}]", "with its aliases expanded it holds more than"),
        ("a: &a [*a]", "an alias contains itself"),
        ("a: &a {b: *a}", "an alias contains itself"),
        ("seeds: 2\nrates: [0.5]\nseeds: 3", "'seeds' is given twice"),
        ("methods: [{ccs: {beta: 0.1, beta: 0.2}}]", "'beta' is given twice"),
        ("a: !!int 1:30", "invalid literal for int()"),
        ("a: !!float 1:30", "could not convert string to float"),
        ("a: " + "1" * 5000, "Exceeds the limit"),
        ("a: " + "[" * 1000, "recursion"),
    ],
    ids=range(11),
)
def test_what_grows_or_is_lost_when_read_is_refused_at_once(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=r"^the text is not valid YAML: [^\n]+$") as caught:
        parse_config(text, "the text")
    assert says in str(caught.value)


def test_aliases_and_merged_mappings_of_a_size_that_people_write_are_read() -> None:
    text = "base: &base {lr: 0.1, batch_size: 64}\nrecipe: {<<: *base, lr: 0.2}\nrates: &r [0.5]\nsame: *r"
    assert parse_config(text, "text") == {
        "base": {"lr": 0.1, "batch_size": 64},
        "recipe": {"lr": 0.2, "batch_size": 64},
        "rates": [0.5],
        "same": [0.5],
    }


def test_a_text_that_nobody_wrote_is_refused_unread() -> None:
    with pytest.raises(SpecError, match="holds 200,001 characters; a configuration has at most 200,000"):
        parse_config("#" * (MOST_CHARACTERS + 1), "the text")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("kind", "says"),
    [("pipe", "it is a named pipe"), ("device", "it is a character device"), ("large", "it holds more than 800 kB")],
)
def test_a_configuration_that_is_no_file_of_its_kind_is_not_read(tmp_path: Path, kind: str, says: str) -> None:
    path = tmp_path / "grid.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(SpecError, match=f"cannot read the config file .*{says}"):
        load_spec(config=path, given={})
