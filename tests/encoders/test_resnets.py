"""ResNets: the key layouts of their authors, and the features that come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.encoders.official import RESNETS, check_official_layout

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", RESNETS)
def test_official_layout_loads_and_gives_the_networks_own_features(
    name: str, tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    check_official_layout(name, tmp_path, patches[:4])
