"""Lists of what is labelled, and groups of items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench
from bench.labelling.candidates import limits_of
from bench.labelling.lists import Lookup, read_groups, read_list

NAMES = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "=4.jpg", "b/new\nline.jpg", "semi;colon.jpg")


@pytest.mark.parametrize(
    ("file", "content", "positions"),
    [
        ("x.txt", "a/1.jpg\nb/1.jpg\n", [0, 2]),
        ("x.txt", "\ufeffa/1.jpg\r\n\r\nb/1.jpg", [0, 2]),
        ("x.csv", "order,file,cluster\n1,b/1.jpg,3\n2,a/1.jpg,0\n", [0, 2]),
        ("x.csv", "File,Label\nb/1.jpg,cat\na/1.jpg,\n./=4.jpg,dog\n", [2, 3]),
        ("x.csv", "a/1.jpg\na/2.jpg\n", [0, 1]),
        ("x.csv", 'file\n"b/new\nline.jpg"\n', [4]),
        ("x.csv", "file,label\na/1.jpg,\nb/1.jpg,\n", [0, 2]),
        ("x.csv", "file,state,rank\na/1.jpg,chosen,1\nb/1.jpg,,\n", [0]),
        ("x.csv", "order;file;cluster;label\r\n1;b/1.jpg;3;cat\r\n2;a/1.jpg;0;\r\n", [2]),
        ("x.tsv", "file\tlabel\na/1.jpg\t \na/2.jpg\tcat\n", [1]),
        ("x.csv", "semi;colon.jpg\na/1.jpg\n", [0, 5]),
        ("x.csv", '"annotation_id","c","image","name"\r\n3,"cat","x","b/1.jpg"\r\n"","","y","a/1.jpg"\r\n', [2]),
    ],
)
def test_lists_of_what_is_labelled(tmp_path: Path, file: str, content: str, positions: list[int]) -> None:
    path = tmp_path / file
    path.write_bytes(content.encode())
    assert read_list(path, Lookup(NAMES, tmp_path), labelled=True).positions.tolist() == positions


@pytest.mark.parametrize(
    ("content", "positions"),
    [
        ("file,label\na/1.jpg,cat\na/2.jpg,\n", [0, 1]),
        ("file,state\na/1.jpg,chosen\na/2.jpg,excluded\nb/1.jpg,\n", [0, 1]),
    ],
)
def test_every_line_of_a_list_of_excluded_items_counts(tmp_path: Path, content: str, positions: list[int]) -> None:
    """What must not be chosen is not chosen because another line happens to have a label."""
    (tmp_path / "x.csv").write_text(content)
    listed = read_list(tmp_path / "x.csv", Lookup(NAMES, tmp_path), labelled=False)
    assert (listed.positions.tolist(), listed.unlabelled) == (positions, 0)


def test_files_may_be_named_with_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"{tmp_path / 'photos' / 'a/1.jpg'}\n./a/2.jpg\n")
    assert read_list(path, Lookup(NAMES, tmp_path / "photos"), labelled=True).positions.tolist() == [0, 1]


def test_files_may_be_named_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``ls photos/a/*.jpg > x.txt`` writes them; a name below the folder comes first."""
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_text("photos/a/1.jpg\na/2.jpg\n")
    for root in (Path("photos"), tmp_path / "photos"):
        assert read_list(Path("x.txt"), Lookup(NAMES, root), labelled=True).positions.tolist() == [0, 1]
    assert Lookup(("a.jpg", "photos/a.jpg"), tmp_path / "photos").find("photos/a.jpg") == 1


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("x.txt", "", "is empty"),
        ("x.csv", "picture,label\na/1.jpg,3\n", "has the columns picture, label; expected one named file or item"),
        ("x.txt", "a/1.jpg\na/3.jpg\n", "1 of 2 names are not among the items: a/3.jpg. Did you mean a/"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, file: str, content: str, message: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(bench.DataError, match=message):
        read_list(tmp_path / file, Lookup(NAMES, tmp_path), labelled=True)
    with pytest.raises(bench.DataError, match="cannot read"):
        read_list(tmp_path / "nowhere.csv", Lookup(NAMES, tmp_path), labelled=True)


def test_groups_of_folders_and_of_a_list(tmp_path: Path) -> None:
    assert read_groups("folder", Lookup(NAMES, tmp_path)).tolist() == [0, 0, 1, 2, 1, 2]
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\nb/1.jpg,x\na/2.jpg,y\n")
    groups = read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 5
    (tmp_path / "g.csv").write_text("file,video\na/1.jpg,x\n")
    with pytest.raises(bench.DataError, match=r"no columns file \(or item\) and group"):
        read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))
    with pytest.raises(bench.SpecError, match="needs --images"):
        read_groups("folder", Lookup(("0", "1"), None))


def test_an_item_is_in_one_group_or_in_none(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\nb/1.jpg,\na/2.jpg, \na/1.jpg,x\n")
    assert len(set(read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path)).tolist())) == len(NAMES)
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\na/1.jpg,y\n")
    with pytest.raises(bench.DataError, match=r"a/1\.jpg in two groups, x and y"):
        read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))


def test_groups_are_numbered_alike_wherever_they_come_from(tmp_path: Path) -> None:
    """Draws inside groups follow the numbers: a list, its lines in another order, and an array give the same choice."""
    lookup = Lookup(NAMES, tmp_path)
    groups = np.array(["9", "9", "10", None, "10", "b"], dtype=object)
    lines = [f"{name!s},{group}\n" for name, group in zip(NAMES, groups, strict=True) if group and "\n" not in name]
    lines.append('"b/new\nline.jpg",10\n')
    expected = [0, 0, 1, 3, 1, 2]
    for ordered in (lines, lines[::-1]):
        (tmp_path / "g.csv").write_text("file,group\n" + "".join(ordered))
        assert read_groups(str(tmp_path / "g.csv"), lookup).tolist() == expected
    renamed = np.array(["z" if group == "9" else group for group in groups], dtype=object)
    for array in (groups, renamed):
        numbers = limits_of(len(NAMES), None, None, array, 1).groups
        assert numbers is not None
        assert numbers.tolist() == expected
