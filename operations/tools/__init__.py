"""What operations are made of: child processes, file types, PDF, images, tesseract.

Nothing here imports Prefect, so that a child process starts in milliseconds.
"""
