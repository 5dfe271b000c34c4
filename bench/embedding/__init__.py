"""What an encoder is, what it was trained with, and frozen torch networks as encoders; bench/encoders has them all."""
