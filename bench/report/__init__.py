"""``bench report``: one self-contained HTML page out of rows."""
