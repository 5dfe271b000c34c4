"""Photographs with odd names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.digits import load_digits
from tests.labelling.photos_to_label import NAMES


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = (load_digits().images[number] * 15).astype(np.uint8)
        Image.fromarray(pixels).resize((24, 16)).save(folder / name)
    return folder
