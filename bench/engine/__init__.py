"""Running a grid: its plan, the scheduler and the executors, events and failures, and resuming after a stop."""
