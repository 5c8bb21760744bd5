"""hwbase: the ground the four packages stand on - sourced constants, units, input checks and result records.

It knows nothing of models, chips, money or carbon.
"""

from hwbase.books import Book, Quantity, Reader, book_names, load_book, quantities_frame
from hwbase.correlations import Correlation
from hwbase.errors import InputError, unknown_name
from hwbase.record import Record

__all__ = [
    "Book",
    "Correlation",
    "InputError",
    "Quantity",
    "Reader",
    "Record",
    "book_names",
    "load_book",
    "quantities_frame",
    "unknown_name",
]
