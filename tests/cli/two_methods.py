"""Mean accuracies of two methods at five rates, for ``grid``."""

RATES = [0.3, 0.5, 0.7, 0.8, 0.9]
MEANS = {"random": [94.0, 93.0, 91.0, 88.0, 79.0], "elfs(heads=10)": [95.0, 94.0, 93.0, 90.0, 87.0]}
