"""What a run consists of: what the user asks for, its cells, the stages they share, and what those take."""
