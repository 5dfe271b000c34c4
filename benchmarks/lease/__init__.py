"""What to do with a GPU that is lent for ten minutes: measure, then fill the table, and bring everything home."""
