#!/usr/bin/env python3
"""Writes the tables of this folder from the Unicode database of the Python that runs it.

normalization.txt: what a character is canonically made of ("=" where NFC puts it together again, ":" where it does not), and the
combining classes that are not 0 ("~"). idna.txt: the characters of category PVALID of RFC 5892, derived as its section 3 has it.
"""

import pathlib
import unicodedata

LAST = 0x10FFFF
HANGUL = range(0xAC00, 0xD7A4)  # Composed by rule (Unicode, section 3.12).
SURROGATES = range(0xD800, 0xE000)

# RFC 5892 section 2.6, without those that depend on their neighbours.
EXCEPTIONS_VALID = {0x00DF, 0x03C2, 0x06FD, 0x06FE, 0x0F0B, 0x3007}
EXCEPTIONS_REFUSED = {0x0640, 0x07FA, 0x302E, 0x302F, *range(0x3031, 0x3036), 0x303B}
CONTEXT = {0x00B7, 0x0375, 0x05F3, 0x05F4, 0x30FB, *range(0x0660, 0x066A), *range(0x06F0, 0x06FA), 0x200C, 0x200D}

# RFC 5892 section 2.3 to 2.5 and 2.9: default ignorable letters and marks, and blocks of historic and musical signs.
IGNORABLE = {
    0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2065, 0x3164, *range(0xFE00, 0xFE10), 0xFFA0,
    *range(0xE0100, 0xE01F0), *range(0x20D0, 0x2100), *range(0x1D100, 0x1D250)}
OLD_JAMO = {*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800)}


def is_valid(code):
    char = chr(code)
    if code in EXCEPTIONS_VALID:
        return True
    if code in EXCEPTIONS_REFUSED or code in CONTEXT or code in IGNORABLE or code in OLD_JAMO:
        return False
    if unicodedata.category(char) == "Cn":
        return False
    if char in "-0123456789abcdefghijklmnopqrstuvwxyz":
        return True
    stable = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    return stable == char and unicodedata.category(char) in ("Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc")


def ranges(values):
    first = last = None
    for value in values:
        if last is not None and value == last + 1:
            last = value
            continue
        if first is not None:
            yield first, last
        first = last = value
    if first is not None:
        yield first, last


def span(first, last):
    return f"{first:X}" if first == last else f"{first:X}-{last:X}"


def normalization():
    for code in range(LAST + 1):
        if code in HANGUL or code in SURROGATES:
            continue
        made_of = unicodedata.decomposition(chr(code))
        if not made_of or made_of.startswith("<"):
            continue
        text = "".join(chr(int(part, 16)) for part in made_of.split())
        mark = "=" if unicodedata.normalize("NFC", text) == chr(code) else ":"
        yield f"{code:X}{mark}" + " ".join(f"{ord(part):X}" for part in text)
    classes = {}
    for code in range(LAST + 1):
        if code not in SURROGATES and unicodedata.combining(chr(code)):
            classes.setdefault(unicodedata.combining(chr(code)), []).append(code)
    for number, codes in sorted(classes.items()):
        yield from (f"~{number} {span(*part)}" for part in ranges(codes))


def idna():
    yield from (span(*part) for part in ranges(code for code in range(LAST + 1) if code not in SURROGATES and is_valid(code)))


folder = pathlib.Path(__file__).parent
for name, lines in (("normalization.txt", normalization()), ("idna.txt", idna())):
    (folder / name).write_text(f"# Unicode {unicodedata.unidata_version}; made by make-tables.py\n" + "\n".join(lines) + "\n")
