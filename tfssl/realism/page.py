"""The page of the human test: it opens without a server, holds one session, and gives a file of answers."""

import base64
import hashlib
import itertools
import json
import math
import secrets
import shutil
import typing

import jinja2
import numpy as np

from tfssl.errors import ConfigError, counted
from tfssl.files import check_folder, write_text
from tfssl.options import as_path, at_least_one
from tfssl.realism.answers import Format, Protocol
from tfssl.realism.pairs import RANDOM, SIZE, choose, write_images

_ANSWERING = 3  # seconds that a pair takes beside showing it, about


def write_test(
    data, recolor, out, *, practice=10, pairs=40, seconds=1.0, pass_checks=0.75, limit=200, seed=0, progress=None
):
    """Write the page and its images: ``out/index.html``, ``out/images/*.png``.

    A participant sees ``practice`` pairs with feedback, then ``pairs`` without, among them in random places one
    attention check for each ten, the truth beside the colors of another photograph. Everything a participant is
    given follows from the word that he or she begins with: the model (one for a session, each as likely), the
    photographs, their order, the sides. The same word gives the same session.

    Args:
        data: photographs, see :func:`tfssl.data.images.image_source`; center squares are shown.
        recolor: ``{model: function}``, see :func:`tfssl.realism.pairs.write_images`.
        out: a folder that is new or empty.
        practice, pairs: pairs of a session (Zhang et al. 2016: 10 and 40).
        seconds: how long each image is shown (Zhang et al. 2016: 1 s).
        pass_checks: fraction of the attention checks that a participant has to get right to be counted. It is fixed
            here and travels with every answer: nobody can choose it after seeing them.
        limit: at most so many photographs, drawn at random; each takes about 0.1 MB for each model and the truth.
        seed: of what is drawn: photographs, their parts, names of images.
        progress: called with (photographs done, all).

    Returns:
        ``(path of the page, number of photographs, {name: why it was left out})``.

    Raises:
        ConfigError: for an option outside its range, or if ``out`` holds something.
        SourceError: if too few photographs serve.

    Reference:
        R. Zhang, P. Isola, A. A. Efros: Colorful Image Colorization. ECCV 2016, section 3.1.
    """
    needed, protocol = check_test(
        out, practice=practice, pairs=pairs, seconds=seconds, pass_checks=pass_checks, limit=limit
    )
    out = as_path("out", out)
    rng = np.random.default_rng(seed)
    pool = choose(data, needed, limit, rng)
    kinds = (
        ["practice"] * practice
        + ["check"] * protocol.checks
        + ["test"] * (len(pool.names) - practice - protocol.checks)
    )
    stage = out.with_name(f".unfinished-{secrets.token_hex(6)}")
    try:
        images = write_images(stage / "images", pool, recolor, kinds, rng, progress)
        write_text(stage / "index.html", _page(protocol, list(recolor), images))
        if out.is_dir():
            out.rmdir()
        stage.replace(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return out / "index.html", len(pool.names), pool.skipped


def check_test(out, *, practice, pairs, seconds, pass_checks, limit):
    """Refuse what :func:`write_test` would, before its models are loaded.

    Returns:
        ``(photographs that a session takes, Protocol)``.
    """
    at_least_one(pairs=pairs, limit=limit)
    if practice < 0:
        raise ConfigError(f"`practice` must be at least 0. Received: practice={practice}")
    if not 0 < seconds <= 60:
        raise ConfigError(f"`seconds` must lie in (0, 60]. Received: seconds={seconds}")
    if not 0 <= pass_checks <= 1:
        raise ConfigError(f"`pass_checks` must lie in [0, 1]. Received: pass_checks={pass_checks}")
    checks = max(1, round(pairs / 10))
    needed = practice + checks + pairs
    if limit < needed:
        raise ConfigError(f"`limit` must be at least {needed}, the photographs of a session. Received: limit={limit}")
    out = as_path("out", out)
    check_folder(out)
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"`out` must be new or empty: answers belong to one page. Received: out={str(out)!r}")
    return needed, Protocol(
        practice=practice,
        pairs=pairs,
        checks=checks,
        checks_needed=math.ceil(pass_checks * checks - 1e-9),
        seconds=float(seconds),
    )


def _page(protocol, models, images):
    key = json.dumps({"models": models, "photographs": images}).encode()
    study = hashlib.sha256(protocol.model_dump_json().encode() + key).hexdigest()[:12]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfssl.realism"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    scored = protocol.pairs + protocol.checks
    return environment.get_template("session.html").render(
        about={"format": typing.get_args(Format)[0], "study": study, "protocol": protocol.model_dump()},
        key=_obfuscate(key, study),
        minutes=max(1, round((protocol.practice + scored) * (2 * protocol.seconds + _ANSWERING) / 60)),
        size=SIZE,
        random=RANDOM,
        practice=counted(protocol.practice, "pairs"),
        scored=counted(scored, "pairs"),
    )


def _obfuscate(data, word):
    """Bytes as text that does not show what they say at a glance; whoever reads the page's script can undo it."""
    return base64.b64encode(bytes(a ^ b for a, b in zip(data, itertools.cycle(word.encode()), strict=False))).decode()
