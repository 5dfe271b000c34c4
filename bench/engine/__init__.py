"""Running a grid on Ray: stages and cells, what is recorded while they run, and going on after a stop."""
