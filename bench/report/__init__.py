"""``bench report``: a self-contained HTML page made from rows."""
