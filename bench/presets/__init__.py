"""Packaged grids, one YAML file each, with the fields of ``bench.spec.GridSpec``."""
