"""The kit for documents: pages, tables, numbers, files; what any answer uses to be read by a person or a program."""
