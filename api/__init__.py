"""Ways in: HTTP, review pages, command line."""
