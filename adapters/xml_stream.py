"""XML read a piece at a time, plain or gzipped, in little memory: where it is cut off or broken is told by line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from xml.parsers import expat
from xml.parsers.expat import errors

__all__ = ["Fail", "new_parser", "pieces"]

Fail = Callable[[int | None, str, str], Exception]
"""Makes the error of a file: line, problem, remedy."""

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 20
_ENDS_EARLY: Final = frozenset(
    errors.codes[name]
    for name in (
        errors.XML_ERROR_NO_ELEMENTS,
        errors.XML_ERROR_UNCLOSED_TOKEN,
        errors.XML_ERROR_PARTIAL_CHAR,
        errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


def new_parser(fail: Fail) -> expat.XMLParserType:
    """A parser without handlers. It refuses entities of a file's own, which no log needs and which may swell."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise fail(parser.CurrentLineNumber, "declares an entity", "write its text where it is used")

    parser.EntityDeclHandler = refuse
    return parser


def pieces(path: Path, parser: expat.XMLParserType, fail: Fail) -> Iterator[None]:
    """Feed the file to the parser; yields after every piece. Raises what `fail` makes where the file is wrong."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            while piece := file.read(_PIECE):
                parser.Parse(piece, False)
                yield
            parser.Parse(b"", True)
            yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        line = parser.CurrentLineNumber
        raise fail(line, "the gzip stream ends here, cut off or damaged", "fetch or compress the file again") from None
    except expat.ExpatError as error:
        if error.code in _ENDS_EARLY:
            raise fail(error.lineno, "is cut off here: the XML does not end", "fetch or export it again") from None
        text = expat.ErrorString(error.code)
        raise fail(error.lineno, f"is no XML here ({text})", "export the file again") from None
