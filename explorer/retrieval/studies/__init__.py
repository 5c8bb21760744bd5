"""explorer.retrieval.studies: tables measured on collections of real text, one subject a file."""
