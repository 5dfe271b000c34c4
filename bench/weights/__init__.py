"""Weights files of encoders and models: where one lies, and how it is read without running code."""
