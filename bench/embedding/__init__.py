"""The interface of encoders, their supervision, and frozen torch networks; bench/encoders has the encoders."""
