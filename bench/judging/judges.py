"""Which judges there are: a ridge regression, and the proxy's network."""

from __future__ import annotations

from typing import Literal

Judge = Literal["ridge", "network"]
"""The ridge regression is the default everywhere: the network ranked no better, with small coresets and large ones, and
costs several trainings (results/judge, results/fast-cifar10)."""
SHARE = 0.5
"""Of the optimiser steps of one proxy on the whole pool, which all candidates together may take. At the papers' recipes
a proxy takes about as many as a final model; the other half is left for scoring outside the coresets."""
