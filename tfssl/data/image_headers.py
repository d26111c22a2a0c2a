"""Headers of encoded images, read inside a TensorFlow graph before anything is decoded.

A header says how large the decoded image will be, and what TensorFlow's decoders do not look at. Reading never fails:
behind the end of a file lie zeros.
"""

import tensorflow as tf

_REST = 2**31 - 1
# Most that are walked over; files of photographs have fewer. Of a GIF: before its first frame, and in it.
_JPEG_SEGMENTS, _CHUNKS, _GIF_EXTENSIONS, _GIF_BLOCKS = 4096, 4096, 2**13, 2**17

# Adobe's marker of a JPEG, as a segment: with it four channels are inverted CMYK, as Pillow takes them without it.
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def read_header(data):
    """What the first bytes of an encoded image say: a dict of tensors.

    - ``format``: JPEG, PNG, BMP, GIF or WebP; ``problem``: why it cannot be read, or "".
    - ``height``, ``width``: of the image, before it is turned upright; int64.
    - ``data``: the file as it is to be decoded. Of a GIF the first frame alone, in its own size.
    - ``orientation``: of EXIF, 1 to 8.
    - ``opaque``: the fourth channel is no alpha.
    - ``palette``: uint8 (n, 3), colors of what is decoded to indices; empty for others.
    - ``clear``: the color that is transparent, int64 (3,), or -1.
    - ``smaller``, ``corner``, ``background``: a GIF's first frame is smaller than its image; int64 (top, left) of the
      frame; color of what lies around, int64 (3,).
    """
    start = _bytes(data, 0, 64)
    kinds = [
        ("JPEG", start[:3], b"\xff\xd8\xff", _jpeg),
        ("PNG", start[:8], b"\x89PNG\r\n\x1a\n", _png),
        ("BMP", start[:2], b"BM", _bmp),
        ("GIF", start[:4], b"GIF8", _gif),
        ("WebP", tf.concat([start[:4], start[8:12]], 0), b"RIFFWEBP", _webp),
    ]
    matches = tf.stack([tf.reduce_all(tf.equal(found, list(magic))) for _, found, magic, _ in kinds])
    number = tf.where(tf.reduce_any(matches), tf.argmax(matches, output_type=tf.int32), len(kinds))
    branches = [lambda name=name, read=read: _complete(data, name, read(data, start)) for name, _, _, read in kinds]
    unknown = {"problem": "not a JPEG, PNG, BMP, GIF or WebP file"}
    header = tf.switch_case(number, [*branches, lambda: _complete(data, "", unknown)])
    exif = header.pop("exif")  # where it begins, or 0: its operators are there once, not in each branch
    return header | {"orientation": _orientation(data, exif)}


def _complete(data, name, found):
    nothing = {
        "format": name,
        "problem": "",
        "height": 0,
        "width": 0,
        "data": data,
        "exif": 0,
        "opaque": False,
        "palette": tf.zeros((0, 3), tf.uint8),
        "clear": [-1, -1, -1],
        "smaller": False,
        "corner": [0, 0],
        "background": [0, 0, 0],
    }
    types = {"format": tf.string, "problem": tf.string, "data": tf.string, "opaque": tf.bool, "palette": tf.uint8}
    types["smaller"] = tf.bool
    header = {key: tf.convert_to_tensor(found.get(key, v), types.get(key, tf.int64)) for key, v in nothing.items()}
    return header | {"palette": tf.ensure_shape(header["palette"], (None, 3))}


def _jpeg(data, start):
    def step(at, height, width, channels, adobe, exif, over):
        b = _bytes(data, at, 16)
        marker, length = _choose(b[0] == 0xFF, b[1], 0), _big(b[2:4])
        # Bytes between segments are skipped, as libjpeg does; these have no length.
        alone = (marker == 0x00) | (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD8))
        skip = _choose((b[0] != 0xFF) | (marker == 0xFF), tf.constant(1, tf.int64), _choose(alone, 2, 2 + length))
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & (marker != 0xC4) & (marker != 0xC8) & (marker != 0xCC)
        first = is_frame & (width == 0)
        adobe |= (marker == 0xEE) & _is(b[4:9], b"Adobe")
        exif = _choose((marker == 0xE1) & (exif == 0) & _is(b[4:10], b"Exif\0\0"), at + 10, exif)
        height, width = _choose(first, _big(b[5:7]), height), _choose(first, _big(b[7:9]), width)
        channels = _choose(first, b[9], channels)
        over = (marker == 0xDA) | (marker == 0xD9) | (at >= _length(data))
        return at + skip, height, width, channels, adobe, exif, over

    zero = tf.constant(0, tf.int64)
    state = (zero + 2, zero, zero, zero, tf.constant(False), zero, tf.constant(False))
    state = tf.while_loop(lambda *s: ~s[-1], step, state, maximum_iterations=_JPEG_SEGMENTS, parallel_iterations=1)
    _, height, width, channels, adobe, exif, _ = state
    marked = tf.strings.join([tf.strings.substr(data, 0, 2), _ADOBE, _from(data, 2)])
    return {
        "height": height,
        "width": width,
        "data": tf.cond((channels == 4) & ~adobe, lambda: marked, lambda: data),
        "exif": exif,
    }


def _png(data, start):
    def step(at, clear, exif, over):
        b = _bytes(data, at, 16)
        clear = _choose(_is(b[4:8], b"tRNS"), at + 8, clear)
        exif = _choose(_is(b[4:8], b"eXIf"), at + 8, exif)
        over = _is(b[4:8], b"IDAT") | (at >= _length(data))
        return at + 12 + _big(b[:4]), clear, exif, over

    zero = tf.constant(0, tf.int64)
    state = (zero + 8, zero, zero, tf.constant(False))
    state = tf.while_loop(lambda *s: ~s[-1], step, state, maximum_iterations=_CHUNKS, parallel_iterations=1)
    _, clear, exif, _ = state
    # TensorFlow's decoder makes alpha of a palette's transparency, but not of the one color of gray and RGB files.
    depth, kind = start[24], start[25]
    b = _bytes(data, clear, 6)
    gray = b[1] * 255 // tf.maximum(tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.minimum(depth, 8)) - 1, 1)
    color = tf.where(kind == 0, tf.stack([gray] * 3), tf.stack([b[1], b[3], b[5]]))
    declared = (clear > 0) & (depth <= 8) & ((kind == 0) | (kind == 2))
    is_png = _is(start[12:16], b"IHDR")
    return {
        "height": _choose(is_png, _big(start[20:24]), 0),
        "width": _choose(is_png, _big(start[16:20]), 0),
        "exif": exif,
        "clear": _choose(declared, color, -1),
    }


def _bmp(data, start):
    size, width, height = (_little(start[i : i + 4]) for i in (14, 18, 22))
    bits, compression = _little(start[28:30]), _little(start[30:34])
    masks = tf.stack([_little(_bytes(data, 54 + 4 * i, 4)) for i in range(4)])
    masks = _choose((size >= 56) | (tf.range(4) < 3), masks, 0)
    known = tf.reduce_all(tf.equal(masks[:3], [0xFF0000, 0xFF00, 0xFF]))
    alpha = (bits == 32) & (compression == 3) & ((masks[3] == 0xFF000000) | tf.reduce_all(masks == 0))
    usual = (compression == 0) & ((bits == 8) | (bits == 24) | (bits == 32))
    fields = (compression == 3) & ((known & (bits >= 24)) | alpha)
    # TensorFlow's decoder returns indices of an 8-bit BMP as gray. 256 entries may reach past a shorter palette into
    # the pixels: no index points there.
    entries = tf.reshape(_bytes(data, 14 + size, 4 * 256), (-1, 4))  # blue, green, red, unused
    colors = tf.cast(entries[:, 2::-1], tf.uint8)
    return {
        "problem": tf.where((size >= 40) & (usual | fields), "", "a BMP of a kind that is not read"),
        "height": tf.abs(_choose(height >= 2**31, height - 2**32, height)),  # negative: rows from the top
        "width": width,
        "opaque": ~alpha,
        "palette": tf.cond(bits == 8, lambda: colors, lambda: colors[:0]),
    }


def _gif(data, start):
    def step(at, inside, clear, over):
        b = _bytes(data, at, 8)
        extension = ~inside & (b[0] == 0x21)
        control = extension & (b[1] == 0xF9) & (b[2] == 4) & (b[3] % 2 == 1)
        skip = _choose(extension, 2, 1 + b[0])
        over = ~inside & ~extension
        return at + _choose(over, 0, skip), extension | (inside & (b[0] > 0)), _choose(control, b[6], clear), over

    def to_end(at, over):
        length = _bytes(data, at, 1)[0]
        return at + 1 + length, (length == 0)

    zero, no = tf.constant(0, tf.int64), tf.constant(False)
    table = _colors(start[10])
    state, options = (13 + table, no, zero - 1, no), {"parallel_iterations": 1}
    at, _, clear, _ = tf.while_loop(lambda *s: ~s[-1], step, state, maximum_iterations=_GIF_EXTENSIONS, **options)
    frame = _bytes(data, at, 10)
    left, top, width, height = (_little(frame[i : i + 2]) for i in (1, 3, 5, 7))
    local = _colors(frame[9])
    # No second frame is decoded, however many there are.
    end, _ = tf.while_loop(lambda *s: ~s[-1], to_end, (at + 11 + local, no), maximum_iterations=_GIF_BLOCKS, **options)
    colors, count = _choose(local > 0, at + 10, 13), _choose(local > 0, local, table)
    whole = [tf.maximum(_little(start[i : i + 2]), used) for i, used in ((8, top + height), (6, left + width))]
    # The transparent color becomes white, and the frame a GIF of its own without transparency.
    white = _choose((clear >= 0) & (3 * clear < count), colors + 3 * clear, 0)
    size = _substr(data, at + 5, at + 9)
    parts = [tf.strings.substr(data, 0, 6), size, _part(data, 10, 13 + table, white), b",\0\0\0\0", size]
    parts += [_part(data, at + 9, tf.minimum(end, _length(data)), white), b";"]
    is_frame = (frame[0] == 0x2C) & (at + 11 < _length(data))
    return {
        "problem": tf.where(is_frame, "", "a damaged GIF"),
        "height": whole[0],
        "width": whole[1],
        "data": tf.cond(is_frame, lambda: tf.strings.join(parts), lambda: data),
        "smaller": (height < whole[0]) | (width < whole[1]),
        "corner": tf.stack([top, left]),
        "background": _choose(clear >= 0, 255, _bytes(data, colors, 3)),
    }


def _webp(data, start):
    def step(at, exif, over):
        b = _bytes(data, at, 8)
        length = _little(b[4:8])
        exif = _choose(_is(b[:4], b"EXIF"), at + 8, exif)
        return at + 8 + length + length % 2, exif, (exif > 0) | (at >= _length(data))

    zero = tf.constant(0, tf.int64)
    state = (zero + 12, zero, tf.constant(False))
    _, exif, _ = tf.while_loop(lambda *s: ~s[-1], step, state, maximum_iterations=_CHUNKS, parallel_iterations=1)
    exif = _choose((exif > 0) & _is(_bytes(data, exif, 6), b"Exif\0\0"), exif + 6, exif)
    extended, lossless, bits = _is(start[12:16], b"VP8X"), _is(start[12:16], b"VP8L"), _little(start[21:25])
    lossy = _little(start[26:28]) % 2**14, _little(start[28:30]) % 2**14
    width, height = (
        _choose(
            extended, _little(start[i : i + 3]) + 1, _choose(lossless, bits // 2**shift % 2**14 + 1, lossy[shift > 0])
        )
        for i, shift in ((24, 0), (27, 14))
    )
    # TensorFlow's decoder writes all frames of an animation into the memory of one.
    moves = extended & (start[20] // 2 % 2 == 1)
    return {
        "problem": tf.where(moves, "an animated WebP", ""),
        "height": height,
        "width": width,
        "exif": exif,
    }


def _orientation(data, at):
    """The orientation that a block of EXIF says, from its byte order on; 1 where there is no block (``at`` is 0)."""
    start = _bytes(data, at, 8)
    is_little = _is(start[:2], b"II")

    def number(parts):
        return _choose(is_little, _little(parts), _big(parts))

    directory = at + number(start[4:8])
    entries = tf.transpose(tf.reshape(_bytes(data, directory + 2, 12 * 64), (64, 12)))
    count = number(_bytes(data, directory, 2))
    tagged = (number(entries[:2]) == 0x0112) & (tf.range(64, dtype=tf.int64) < count)
    values = _choose(number(entries[2:4]) == 4, number(entries[8:12]), number(entries[8:10]))
    value = values[tf.argmax(tagged)]
    known = (at > 0) & tf.reduce_any(tagged) & (value >= 1) & (value <= 8)
    return _choose(known & (is_little | _is(start[:2], b"MM")), value, 1)


def _bytes(data, at, count):
    """Bytes from ``at`` on, int64 (count,)."""
    found = tf.strings.substr(data, tf.minimum(tf.cast(at, tf.int64), _length(data)), tf.constant(count, tf.int64))
    return tf.ensure_shape(tf.cast(tf.io.decode_raw(found, tf.uint8, fixed_length=count), tf.int64), (count,))


def _choose(condition, one, other):
    """``tf.where`` of whole numbers, all int64."""
    return tf.where(condition, tf.cast(one, tf.int64), tf.cast(other, tf.int64))


def _part(data, begin, end, white):
    """Bytes from ``begin`` to ``end``, the three from ``white`` on 255 if they lie in it."""
    begin, end = tf.cast(begin, tf.int64), tf.cast(end, tf.int64)
    within = (white >= begin) & (white + 3 <= end)
    middle = _choose(within, white, begin)
    after = _choose(within, middle + 3, begin)
    parts = [
        _substr(data, begin, middle),
        tf.where(within, tf.constant(b"\xff\xff\xff"), tf.constant(b"")),
        _substr(data, after, end),
    ]
    return tf.strings.join(parts)


def _substr(data, begin, end):
    begin = tf.minimum(begin, _length(data))
    return tf.strings.substr(data, begin, tf.maximum(end - begin, 0))


def _from(data, begin):
    return tf.strings.substr(data, begin, _REST)


def _length(data):
    return tf.cast(tf.strings.length(data), tf.int64)


def _is(found, text):
    return tf.reduce_all(tf.equal(found, list(text)))


def _little(parts):
    """Numbers whose bytes lie along the first axis, the lowest first; in few operators, for there are many of these."""
    return _weighed(parts, [256**i for i in range(parts.shape[0])])


def _big(parts):
    return _weighed(parts, [256**i for i in reversed(range(parts.shape[0]))])


def _weighed(parts, weights):
    return tf.reduce_sum(parts * tf.constant(weights, tf.int64, (len(weights), *[1] * (len(parts.shape) - 1))), axis=0)


def _colors(flags):
    """Bytes of a GIF's color table."""
    return _choose(flags >= 128, 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8), 0)
