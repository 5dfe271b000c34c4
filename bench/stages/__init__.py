"""The stages of a grid, one room each: what a stage depends on, what it takes, how it is computed."""
