"""Parsing of presets and configuration files: YAML with the scalars of version 1.2 and a limit on aliases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml

from bench.errors import SpecError

MOST_CHARACTERS = 200_000
"""Largest number of characters, also with every alias expanded; they are read in 2 s. The largest preset has 1,500."""


def parse_config(text: str, where: str) -> Mapping[str, Any]:
    """Return the fields of a configuration.

    Args:
        text: YAML; plain scalars are read by the core schema of version 1.2.
        where: name of the text in errors.

    Raises:
        SpecError: the text is not YAML, not a mapping, has a key twice, or more than ``MOST_CHARACTERS``.
    """
    if len(text) > MOST_CHARACTERS:
        raise SpecError(f"{where} holds {len(text):,} characters; a configuration has at most {MOST_CHARACTERS:,}.")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        content = None if node is None else _constructed(loader, node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # 5,000 digits are a ValueError
        raise SpecError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, Mapping):
        what = "nothing" if content is None else f"a {type(content).__name__}"
        raise SpecError(f"{where} must hold fields such as 'methods:' and 'rates:', and holds {what}.")
    return content


class _Loader(yaml.SafeLoader):
    """A loader for YAML 1.2. PyYAML follows 1.1, where ``1:30`` is 90, ``010`` is 8, ``no`` is False, ``1e-4`` text."""


def _int(loader: _Loader, node: Any) -> int:
    return int(loader.construct_scalar(node))


def _float(loader: _Loader, node: Any) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", str(loader.construct_scalar(node)).lower()))


# Without this line the inherited resolvers of YAML 1.1 would stay.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"[-+]?[0-9]+\Z", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", list("-+.0123456789")),
    ("float", r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z", list("-+.")),
    ("merge", r"<<\Z", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def _constructed(loader: _Loader, node: yaml.Node) -> Any:
    """Return the value, after checking its size: nine aliases of nine aliases of nine are 729 values."""
    if _expanded_size(node, {}) > MOST_CHARACTERS:
        raise ValueError(f"with its aliases expanded it holds more than {MOST_CHARACTERS:,} characters")
    return loader.construct_document(node)


def _expanded_size(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Return the characters of all scalars below a node, at least one each, with every alias expanded.

    Raises:
        ValueError: an alias contains itself, or a key is given twice, of which YAML would drop one.
    """
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise ValueError("an alias contains itself")
        return size
    # None while it is being counted, which reveals an alias that contains itself.
    known[id(node)] = None
    if isinstance(node, yaml.ScalarNode):
        size = 1 + len(node.value)
    elif isinstance(node, yaml.MappingNode):
        names = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        repeated = [name for (_, name), count in names.items() if count > 1]
        if repeated:
            raise ValueError(f"{repeated[0]!r} is given twice")
        size = 1 + sum(_expanded_size(item, known) for pair in node.value for item in pair)
    else:
        size = 1 + sum(_expanded_size(item, known) for item in node.value)
    known[id(node)] = size
    return size
