"""Names of the judges: a ridge regression, and the proxy's network."""

from __future__ import annotations

from typing import Literal

Judge = Literal["ridge", "network"]
"""The ridge regression is the default everywhere: with its few training steps the network chose no better on average,
and it costs several trainings (docs/label-free-beta.md)."""
SHARE = 0.5
"""Optimiser steps of all candidates together, as a share of the proxy's on the whole pool. With the papers' recipes a
proxy takes about as many steps as a final model; the other half is left for scoring outside the coresets."""
