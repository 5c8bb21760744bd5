"""explorer.reporting: what a report says of itself, and the files that it goes into.

`methods`, `quality`, `reproduce` and `scopes` serve any page: how it was computed, how good its constants are, how to
make it again, carbon by scope. Their macros are in `templates/parts.html.j2`; `markdown` writes the same in Markdown.
`content`, `tidy` and `files` are of the report of one model.
"""
