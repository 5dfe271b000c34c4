"""Choosing which of one's own unlabelled images to label: what ``bench select`` is made of."""
