"""Figures drawn from rows, which ``bench plot`` writes and ``bench report`` shows."""
