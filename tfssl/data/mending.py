"""Files whose pixels are whole though something around them is not: a JPEG without its end, a PNG's overlong texts."""

import random
import re

PNG = b"\x89PNG\r\n\x1a\n"

_FRAMES = {0xC0, 0xC1, 0xC2}
_SCAN, _END = 0xDA, b"\xff\xd9"
_BETWEEN_SCANS = {0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_COEFFICIENTS = 64

# tRNS and eXIf (orientation) belong to how a PNG looks; its other fields of small letters are texts, times and tables.
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")


def bare_png(data):
    """A PNG without what its pixels do not need."""
    kept, place = [PNG], len(PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] in _PNG_KEPT:
            kept.append(data[place : place + 12 + size])
        place += 12 + size
    return b"".join(kept)


def continued_jpegs(data):
    """A JPEG that breaks off or ends badly, ended properly in three ways; None if parts of it are surely missing.

    After its last compressed byte follow nothing, or one of two strings of chance. If all of the pixels are there
    already, no decoder looks at what follows: the three files decode to the same pixels. Otherwise they differ.
    """
    end, restarts = _compressed_end(data)
    if end is None:
        return None
    body = data[:end].rstrip(b"\0")  # what a broken transfer has not filled
    body += b"\0" if body.endswith(b"\xff") else b""  # of a stuffed byte
    return [body + tail + _END for tail in (b"", _chance(1, restarts), _chance(2, restarts))]


def _chance(seed, restarts):
    """Compressed bytes by chance, over the next eight restart intervals."""
    rng = random.Random(seed)
    parts = [bytes(rng.randrange(255) for _ in range(64)) for _ in range(9)]
    marks = [bytes((0xFF, 0xD0 + (restarts + n) % 8)) for n in range(8)]
    return b"".join(part + mark for part, mark in zip(parts, [*marks, b""], strict=True))


def _compressed_end(data):
    """Where the compressed data of the last scan ends, and how many restart markers (of 8) it has; None where the
    scans leave out a part of a channel.
    """
    place, end, restarts, missing = 2, None, 0, None
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if end is not None and marker not in _BETWEEN_SCANS:
            break
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        segment, place = data[place + 4 : place + 2 + size], place + 2 + size
        if marker in _FRAMES:
            missing = {number: set(range(_COEFFICIENTS)) for number in segment[6::3]}
        elif marker == _SCAN and missing is not None and place <= len(data):
            found = _MARKER.search(data, place)
            end = found.start() if found else len(data)
            marks = _RESTART.findall(data, place, end)
            restarts = (marks[-1][0] - 0xD0 + 1) % 8 if marks else 0
            first, last, bits = segment[-3:]
            if bits % 16 == 0:  # to the last bit
                for number in segment[1:-3:2]:
                    missing.get(number, set()).difference_update(range(first, last + 1))
            place = end
    return (end, restarts) if missing and not any(missing.values()) else (None, 0)
