"""Tracking a run with wandb or TensorBoard."""
