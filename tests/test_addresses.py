from __future__ import annotations

from pathlib import Path

import pytest

from bench.addresses import local_path
from bench.errors import BenchError
from bench.grid.spec import load_spec
from bench.store.folder import cache_folder


def test_a_tilde_is_the_home_folder_and_of_nobody_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/data") == tmp_path / "data"
    assert local_path(Path("~/data")) == tmp_path / "data"
    assert local_path("a~/b") == Path("a~/b")
    assert local_path("~nobody-here/data") == Path("~nobody-here/data")
    assert cache_folder(Path("~nobody-here")).name == "~nobody-here"


@pytest.mark.parametrize(
    "given",
    [
        {"datasets": "folder(path=~nobody-here/images)"},
        {"datasets": "npz(path=~nobody-here/images.npz)"},
        {"datasets": "digits@labels=~nobody-here/labels.npy"},
        {"methods": "indices(of=~nobody-here/coreset.npy)"},
        {"methods": "kcenter", "encoders": "resnet18_imagenet(weights=~nobody-here/weights.pth)"},
        {"models": "torchvision(name=resnet18,pretrained=~nobody-here/weights.pth)"},
    ],
    ids=lambda given: str(next(iter(given.values()))),
)
def test_the_home_of_nobody_is_one_clear_error(given: dict[str, str]) -> None:
    from bench.engine.plan import make_plan

    fields = {"datasets": "digits", "methods": "random", "rates": "0.9", **given}
    with pytest.raises(BenchError, match="~nobody-here"):
        make_plan(load_spec(given=fields), out=None)
