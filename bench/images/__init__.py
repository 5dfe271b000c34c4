"""Finding, decoding and streaming image files."""
