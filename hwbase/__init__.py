"""hwbase: the ground the four packages stand on: sourced constants, number formats, units, input checks and records.

It knows nothing of models, chips, money or carbon.
"""

from typing import TYPE_CHECKING

from hwbase.lazy import lazy_names

if TYPE_CHECKING:
    from hwbase.books import Book, Quantity, Reader, book_names, load_book, quantities_frame
    from hwbase.correlations import Correlation
    from hwbase.errors import InputError, unknown_name
    from hwbase.evidence import Evidence, evidence_by_figure, evidence_of
    from hwbase.formats import FORMATS, NumberFormat, number_format
    from hwbase.header import Header
    from hwbase.record import Record
else:
    __getattr__, __dir__ = lazy_names(__name__, __file__)

__all__ = [
    "FORMATS",
    "Book",
    "Correlation",
    "Evidence",
    "Header",
    "InputError",
    "NumberFormat",
    "Quantity",
    "Reader",
    "Record",
    "book_names",
    "evidence_by_figure",
    "evidence_of",
    "load_book",
    "number_format",
    "quantities_frame",
    "unknown_name",
]
