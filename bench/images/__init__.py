"""Images that stay in their files."""
