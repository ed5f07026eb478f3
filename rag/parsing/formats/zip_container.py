"""Zip packages (.docx .pptx .xlsx .epub .odt): opened only if what they unpack to is bounded and plain."""

from __future__ import annotations

import io
import zipfile

from rag.errors import DocumentError

MAX_UNPACKED_BYTES = 512 * 1024**2  # bytes; more inside one document is an attack or a mistake
MAX_MEMBERS = 10_000
MAX_RATIO = 200  # deflate reaches 1,032; sheets of equal rows reach 60
RATIO_FROM = 10 * 1024**2  # bytes; what is smaller harms nobody, however well it was packed
_XML = (".xml", ".rels", ".opf", ".xhtml", ".html", ".htm", ".ncx", ".svg")
_PROLOGUE = 4096  # bytes at the start of XML if entities can be declared; what comes later the parsers bound
MALFORMED_ERRORS = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises for archives that are broken, encrypted or packed in an unknown way."""


def open_zip_document(data: bytes, what: str) -> zipfile.ZipFile:
    """The package, once its sizes and the beginnings of its XML are found harmless; *what* is said in refusals.

    Raises:
        DocumentError: it is damaged, unpacks to too much, or declares XML entities.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
        _check_sizes(package.infolist(), what)
        for entry in package.infolist():
            if entry.filename.lower().endswith(_XML):
                _check_prologue(package, entry, what)
    except MALFORMED_ERRORS as error:
        raise malformed_error(what, error) from error
    return package


def malformed_error(what: str, error: Exception) -> DocumentError:
    """The refusal of a package that can't be read."""
    return DocumentError(
        f"the {what} is damaged or incomplete ({error}): open it in its program and save it again, or download it again"
    )


def _check_sizes(entries: list[zipfile.ZipInfo], what: str) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED_BYTES:
        size, most = unpacked // 1024**2, MAX_UNPACKED_BYTES // 1024**2
        raise DocumentError(
            f"the {what} unpacks to {size} MiB, more than the {most} MiB allowed: take the pictures out, or split it"
        )
    if len(entries) > MAX_MEMBERS:
        raise DocumentError(f"the {what} has {len(entries)} parts, more than the {MAX_MEMBERS} allowed: split it")
    for entry in entries:
        if is_zip_bomb(entry):
            raise DocumentError(
                f"in the {what} {entry.filename!r} unpacks to {entry.file_size // max(1, entry.compress_size)} "
                f"times its size, more than the {MAX_RATIO} allowed: it looks like an attack"
            )


def is_zip_bomb(entry: zipfile.ZipInfo) -> bool:
    """True if a member is large and packed better than documents are."""
    return entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(1, entry.compress_size)


def _check_prologue(package: zipfile.ZipFile, entry: zipfile.ZipInfo, what: str) -> None:
    with package.open(entry) as part:
        if b"<!ENTITY" in part.read(_PROLOGUE):
            raise DocumentError(
                f"in the {what} {entry.filename!r} declares XML entities, which can unfold without end: "
                "open it in its program and save it again"
            )
