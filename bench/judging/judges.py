"""Which judges there are: a ridge regression, and the proxy's network."""

from __future__ import annotations

from typing import Literal

Judge = Literal["ridge", "network"]
"""The ridge regression is the default everywhere: the network, at the few steps that it may take, chose no better on
average and costs several trainings (docs/label-free-beta.md)."""
SHARE = 0.5
"""Of the optimiser steps of one proxy on the whole pool, which all candidates together may take. At the papers' recipes
a proxy takes about as many as a final model; the other half is left for scoring outside the coresets."""
