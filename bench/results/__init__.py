"""Rows, and everything made from them: tables, comparisons, leaderboards, exports, checks of outside rows."""
