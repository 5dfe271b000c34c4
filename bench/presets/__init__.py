"""Packaged grids, one YAML file each, with the fields of ``bench.grid.spec.GridSpec``."""
