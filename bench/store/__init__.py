"""Files that outlive a run: shared stages by content, written whole or not at all."""
