"""Figures drawn from rows alone: what ``bench plot`` writes and ``bench report`` shows."""
