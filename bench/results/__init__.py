"""From rows to what people read: tables, comparisons, leaderboards, exports, checks of outside rows."""
