"""Judging coresets without labels: how well one predicts clusterings of what it leaves out."""
