"""Texts for Hypothesis of any characters that UTF-8 encodes."""

from __future__ import annotations

from hypothesis import strategies as st

# Without surrogates ("Cs") these are the characters of codec="utf-8", Hypothesis' default, for which it encodes and
# decodes all of Unicode first: two seconds in every new checkout.
CHARACTERS = st.characters(exclude_categories=["Cs"])
