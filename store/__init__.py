"""What is remembered, and the words for it: tables, blobs, settings, errors, the life of a task."""
