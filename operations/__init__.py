"""Reusable steps on files, each a Prefect task. This is the list of them."""

from operations.apply_effect import apply_effect as apply_effect
from operations.classify import classify as classify
from operations.convert import convert as convert
from operations.deskew import deskew as deskew
from operations.detect_documents import detect_documents as detect_documents
from operations.export_data import export_data as export_data
from operations.export_values import export_values as export_values
from operations.extract_fields import extract_fields as extract_fields
from operations.extract_form import extract_form as extract_form
from operations.extract_pages import extract_pages as extract_pages
from operations.extract_text import extract_text as extract_text
from operations.filter_documents import filter_documents as filter_documents
from operations.group_documents import group_documents as group_documents
from operations.make_searchable_pdf import make_searchable_pdf as make_searchable_pdf
from operations.merge import merge as merge
from operations.ocr import ocr as ocr
from operations.plugins import load_plugins
from operations.read_pages import read_pages as read_pages
from operations.render import render as render
from operations.rotate import rotate as rotate
from operations.scan import scan as scan
from operations.segment import segment as segment
from operations.split import split as split
from operations.split_by_separator import split_by_separator as split_by_separator
from operations.warp import warp as warp

merge_pdfs = merge
"""As a flow of one's own may rather call it; images are put in, too."""

load_plugins()
