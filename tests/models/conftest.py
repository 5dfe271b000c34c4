from __future__ import annotations

import numpy as np
import pytest

from tests.models.networks import Vectors


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    from tests.digits import load_digits

    digits = load_digits()
    return digits.data.astype(np.float32), digits.target.astype(np.int64)
