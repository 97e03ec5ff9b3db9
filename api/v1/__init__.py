"""The native API: Scan Documents' files, tasks, operations and events, and what goes beyond."""
