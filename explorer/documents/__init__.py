"""The kit for documents: pages, tables, numbers and files, for people and programs."""
