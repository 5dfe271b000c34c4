"""Where work runs: in this process or a few of its own (``local``), or on Ray, one machine or a cluster (``ray``)."""
