"""Several label-free methods at once: the method ``auto`` on one's own items, and what the judge said of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.grammar import Call, split_list


def comparing(methods: str, usual: str, find: Callable[[str], Call]) -> Call:
    """``auto`` with these candidates.

    Args:
        methods: comma-separated, as the user named them.
        usual: what ``methods`` is where the user named none; the candidates are then those of ``auto`` itself.
        find: reads one of them, which may be ``usual`` too.
    """
    if methods.strip() in (usual, "auto"):  # which would be the only candidate of itself
        return Call("auto", {})
    return Call("auto", {"candidates": ",".join(str(find(one)) for one in split_list(methods))})


def leaderboard(judged: Mapping[str, float], taken: str) -> Iterator[str]:
    """Lines of text: candidates, the best first, and the random coresets of the guard as one.

    Args:
        judged: candidate -> what the judge said, high = good.
        taken: the one whose items were written.
    """
    by_chance = [value for name, value in judged.items() if name.startswith("random ")]
    listed = {name: value for name, value in judged.items() if not name.startswith("random ")}
    shown = {name: f"{100 * value:.1f}" for name, value in listed.items()}
    if by_chance:
        mean = sum(by_chance) / len(by_chance)
        listed["at random"] = mean
        shown["at random"] = f"{100 * mean:.1f} ({100 * min(by_chance):.1f} to {100 * max(by_chance):.1f})"
    marked = "at random" if taken.startswith("random ") else taken
    yield "Judged without a label: percent of cluster memberships outside the choice that it predicts."
    width = max(map(len, listed))
    # By name where they are equal, so that the list does not depend on the order of judging.
    for name in sorted(listed, key=lambda name: (-listed[name], name)):
        yield f"  {name:<{width}}  {shown[name]}{'  <- taken' if name == marked else ''}"
