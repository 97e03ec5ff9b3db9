"""Reusable steps on files, each a Prefect task."""
