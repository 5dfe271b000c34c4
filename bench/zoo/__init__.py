"""Networks that other libraries name: what there is, how it is built, filled with weights and given images."""
