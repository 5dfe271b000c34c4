"""Executors of work: ``local`` in this process or in worker processes, and ``ray`` on one machine or a cluster."""
