"""Types of parameters that networks of other libraries share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Side = Annotated[int, Field(ge=16, le=2048)]
"""Side of a network's input in pixels."""
