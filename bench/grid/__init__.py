"""Grids: what a user asks for, checked and expanded into cells."""
