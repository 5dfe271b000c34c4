"""Networks of other libraries: their names, building them, loading weights and preparing images."""
