"""The store of shared stages: files that outlive a run, addressed by content and written completely or not at all."""
