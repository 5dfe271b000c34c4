"""The stages of a grid, one module each: what a stage depends on, the resources it needs, and how it is computed."""
