"""Reusable steps on files, each a Prefect task."""

from operations.extract_text import extract_text as extract_text
from operations.read_pages import read_pages as read_pages
