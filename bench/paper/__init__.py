"""Numbers and settings that papers report, as data; see the README beside this file."""
