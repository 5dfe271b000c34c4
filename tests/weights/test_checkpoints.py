from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench import WeightsError
from bench.weights.checkpoints import load_weights, read_state


class Trap:
    """Pickles into a call: what a hostile weights file does."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.target), "w")


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "teacher"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
def test_wrappers_and_prefixes_are_removed(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state = small().state_dict()
    content = {f"{prefix}{name}": value for name, value in state.items()}
    torch.save({wrapper: content, "epoch": 3} if wrapper else content, tmp_path / "file.pth")
    found = read_state(tmp_path / "file.pth")
    assert set(found) == set(state)
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_half_precision_is_widened_and_counters_stay_integers(tmp_path: Path) -> None:
    state = {name: v.half() if v.is_floating_point() else v for name, v in small().state_dict().items()}
    save_file(state, tmp_path / "file.safetensors")
    found = read_state(tmp_path / "file.safetensors")
    assert found["0.weight"].dtype == torch.float32
    assert found["1.num_batches_tracked"].dtype == torch.int64


def test_counters_of_batch_norm_may_be_missing(tmp_path: Path) -> None:
    source = small()
    state = {name: v for name, v in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "file.pth")
    loaded = load_weights(small(), tmp_path / "file.pth", owner="x")
    assert torch.equal(loaded.state_dict()["0.weight"], source.state_dict()["0.weight"])


def test_what_does_not_fit_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    state = small().state_dict()
    del state["1.running_var"]
    state["classifier.weight"] = torch.zeros(1)
    state["0.bias"] = torch.zeros(5)
    torch.save(state, tmp_path / "file.pth")
    module = small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(module, tmp_path / "file.pth", owner="mine")
    text = str(caught.value)
    assert "encoder 'mine'" in text
    assert "1 missing: 1.running_var" in text
    assert "1 unexpected: classifier.weight" in text
    assert "0.bias (5,) instead of (2,)" in text
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"0.weight": Trap(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="never code"):
        read_state(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:.*torch")
def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    # OpenAI's own CLIP files are such archives.
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "clip.pt")
    with pytest.raises(WeightsError, match="TorchScript"):
        read_state(tmp_path / "clip.pt")


@pytest.mark.parametrize("name", ["file.pth", "file.safetensors"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    save_file(small().state_dict(), file) if name.endswith("tensors") else torch.save(small().state_dict(), file)
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(WeightsError, match=name):
        read_state(file)
    file.write_bytes(b"")
    with pytest.raises(WeightsError, match=name):
        read_state(file)
    with pytest.raises(WeightsError, match="cannot read"):
        read_state(tmp_path / f"absent-{name}")


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(3)])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        read_state(tmp_path / "file.pth")


def test_an_encoder_never_works_on_random_weights() -> None:
    with pytest.raises(WeightsError, match="needs a weights file"):
        load_weights(small(), None, owner="x")
