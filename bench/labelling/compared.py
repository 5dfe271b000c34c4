"""Comparing several label-free methods on the user's items with the method ``auto``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.grammar import Call, split_list


def comparing(methods: str, usual: str, find: Callable[[str], Call]) -> Call:
    """Return a call of ``auto`` with the given candidates.

    Args:
        methods: the user's methods, separated by commas.
        usual: value of ``methods`` if the user named none; ``auto`` then takes its default candidates.
        find: parses one method, which may be ``usual`` too.
    """
    if methods.strip() in (usual, "auto"):  # ``auto`` cannot be its own candidate
        return Call("auto", {})
    return Call("auto", {"candidates": ",".join(str(find(method)) for method in split_list(methods))})


def judgement_lines(judged: Mapping[str, float], taken: str) -> Iterator[str]:
    """Yield the candidates as lines of text, the best first, with the guard's random coresets as one line.

    Args:
        judged: candidate -> judgement, high = good.
        taken: the candidate whose items were written.
    """
    by_chance = [value for name, value in judged.items() if name.startswith("random ")]
    listed = {name: value for name, value in judged.items() if not name.startswith("random ")}
    shown = {name: f"{100 * value:.1f}" for name, value in listed.items()}
    if by_chance:
        mean = sum(by_chance) / len(by_chance)
        listed["at random"] = mean
        shown["at random"] = f"{100 * mean:.1f} ({100 * min(by_chance):.1f} to {100 * max(by_chance):.1f})"
    marked = "at random" if taken.startswith("random ") else taken
    yield "Judged without labels: percent of cluster memberships outside the choice that it predicts."
    width = max(map(len, listed))
    # Ties are sorted by name, so that the list does not depend on the order of judging.
    for name in sorted(listed, key=lambda name: (-listed[name], name)):
        yield f"  {name:<{width}}  {shown[name]}{'  <- taken' if name == marked else ''}"
