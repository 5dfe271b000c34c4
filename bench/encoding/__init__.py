"""What an encoder is, its weights files, and frozen torch networks as encoders; the encoders lie in bench/encoders."""
