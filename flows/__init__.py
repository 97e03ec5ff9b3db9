"""The life of a task: what happens to it, in what order, and every call to Prefect."""
