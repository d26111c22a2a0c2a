"""Color profiles written by hand: gamma curves for gray, and for the primaries of sRGB."""

import struct

from PIL import ImageCms


def _curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _tags(profile):
    count = int.from_bytes(profile[128:132], "big")
    for place in range(132, 132 + 12 * count, 12):
        name, offset, size = struct.unpack(">4sII", profile[place : place + 12])
        yield name, profile[offset : offset + size]


def _profile(head, tags):
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", 128 + len(body)) + head[4:128] + body


def rgb_profile(gamma, name="sRGB linear"):
    """The primaries of sRGB with another tone curve, described by ``name``."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = name.encode("utf-16be")
    tags = dict(_tags(srgb)) | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    tags[b"desc"] = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    return _profile(srgb, tags)


def gray_profile(gamma):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = {name: content for name, content in _tags(srgb) if name in (b"desc", b"cprt", b"wtpt")}
    return _profile(srgb[:16] + b"GRAY" + srgb[20:], kept | {b"kTRC": _curve(gamma)})
