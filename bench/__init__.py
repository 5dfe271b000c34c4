"""Compare coreset selection methods. Everything a plugin needs is imported from here, without torch or Ray."""

from lazy_loader import attach_stub

__version__ = "0.1.0"

# Imported when first used: `bench --help` needs neither numpy nor pydantic. The names are in __init__.pyi, once.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
