"""From images, films, folders and globs to a list of files and where the result of each one goes."""

import collections
import contextlib
import dataclasses
import errno
import glob
import itertools
import os
from pathlib import Path

from tfssl.data.clips import EXTENSIONS as CLIPS
from tfssl.data.job import Job
from tfssl.data.listing import EXTENSIONS, ignored_kinds, ignored_line
from tfssl.data.origin import OTHER, SAME, Origin, compare, origin_of
from tfssl.data.recode import FORMATS, check_film, names_film
from tfssl.errors import ConfigError, SourceError
from tfssl.files import fitting

_JPEG = (".jpg", ".jpeg")
_ALSO_JPEG = (".jfif", ".jpe")
_WRITABLE = (*_JPEG, ".png")
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass
class Report:
    """What became of each image, in the order of the inputs.

    Args:
        done, skipped: ``{source: target}`` of the outputs, and of those that were there before.
        outdated: ``{source: reason}`` of those among the skipped that are another result than asked for.
        renamed: ``{source: target}`` of those among the done whose own name belongs to another image.
        failed: ``{source: reason}``.
        left_out: ``{source: reason}`` of those that are not worked on so.
        ignored: ``{ending: count}`` of the files in input folders that are no images by their names.
    """

    done: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    outdated: dict[str, str] = dataclasses.field(default_factory=dict)
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)


def run_jobs(
    inputs,
    out,
    work,
    *,
    settings=lambda source: "",
    leave_out=lambda source: "",
    format=None,
    mark="",
    films=False,
    overwrite=False,
    progress=None,
):
    """Work on files, folders and globs into a folder.

    Outputs appear whole or not at all, so the same call goes on where an earlier one was interrupted. An image that
    cannot be read or written is reported and the others are done.

    Args:
        inputs, out, settings, format, mark, films: as :func:`plan_jobs`; ``out`` is made if missing.
        work: function of a list of :class:`Job` that yields ``(job, error or None, note)`` as each one ends, and may
            yield ``(None, fraction, note)`` while one takes long, with the fraction of it that is done.
        leave_out: function of a path; why it is not worked on, "" for what is.
        overwrite: replace outputs of the same images; otherwise they are skipped.
        progress: called as ``progress(done, total, note)`` after each image.

    Returns:
        :class:`Report`.

    Raises:
        ConfigError, SourceError: as :func:`plan_jobs`, or if ``out`` cannot be made.
        OSError: if the disk is full; nothing more could be written.
    """
    out = Path(out).expanduser()
    jobs, failed = plan_jobs(inputs, out, format, settings, mark, films)
    if films and names_film(out):
        if jobs[0].there not in ("", SAME) and not overwrite:
            raise SourceError(f"`--out` {str(out)!r} is there already, {jobs[0].there}; --overwrite replaces it")
        out = out.parent
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"`out` {str(out)!r} cannot be made: {error.strerror}; choose another folder") from None
    report = Report(failed=failed, ignored=_ignored(inputs, films))
    report.left_out = {str(job.source): reason for job in jobs if (reason := leave_out(job.source))}
    jobs = [job for job in jobs if str(job.source) not in report.left_out]
    if not overwrite:
        for job in jobs:
            if job.there:
                report.skipped[str(job.source)] = str(job.target)
                if job.there != SAME:
                    report.outdated[str(job.source)] = job.there
        jobs = [job for job in jobs if not job.there]
    reasons = {}
    with contextlib.closing(work(jobs)) as results:
        for job, raised, note in results:
            fraction = raised if job is None else 0
            if job is not None:
                reasons[job] = None if raised is None else _failure(raised, job)
            if progress is not None:
                progress(len(reasons) + fraction, len(jobs), note)
    for job in jobs:
        if reasons[job] is None:
            report.done[str(job.source)] = str(job.target)
            if job.renamed:
                report.renamed[str(job.source)] = str(job.target)
        else:
            report.failed[str(job.source)] = reasons[job]
    return report


def _failure(error, job):
    """The reason of one image's failure in one line; raises OSError for a full disk, which ends the whole job."""
    if isinstance(error, OSError) and error.errno in _FULL_DISK:
        note = f"{error.strerror}; make room and start again, what is there already is whole and is kept"
        raise OSError(error.errno, note, str(job.target.parent)) from None
    if job.source.is_symlink() and not job.source.exists():
        return f"a link to {os.readlink(job.source)!r}, which is not there"
    if isinstance(error, MemoryError):
        return "not enough memory for an image of this size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def plan_jobs(inputs, out, format=None, settings=lambda source: "", mark="", films=False):
    """Plan the outputs of a list of inputs.

    Folders are searched recursively and keep their structure under ``out``; so do globs, from their first part
    without a wildcard on. What is no image is ignored in them, and so is ``out`` inside an input.

    Args:
        inputs: paths of files and folders, and glob patterns.
        out: folder of the outputs.
        format: of images, ``"jpg"`` or ``"png"``; None keeps JPEG and PNG and writes PNG for all others.
        settings: function of an image's path; text that says how it will be worked on.
        mark: ends the name of each output: ``"_2"`` makes ``photo_2.jpg`` of ``photo.jpg``.
        films: whether video files count too; those of kinds that are not written become .mkv. If ``out`` is a film by
            its name, the inputs are one film.

    Returns:
        ``(jobs, failed)``: :class:`Job` in the order of the inputs, sorted within folders, each target once (where
        two would meet, or another image's result is there already, the later one gets another name);
        ``{input: reason}`` of those that cannot be read.

    Raises:
        ConfigError: for an unknown format.
        SourceError: if there is no image at all, or each output would replace its input.
    """
    if format not in (None, "jpg", "png"):
        raise ConfigError(f"`format` must be 'jpg', 'png' or None to keep each input's. Received: format={format!r}")
    out = Path(out)
    if films and names_film(out):
        check_film(inputs, out)
        job = Job(Path(inputs[0]).expanduser(), out, settings(inputs[0]))
        job.there = compare(out, _readable_origin(job)) if os.path.lexists(out) else ""
        return [job], {}
    if out.exists() and not out.is_dir():
        raise SourceError(f"`out` must be a folder. Received: the file {str(out)!r}")
    found, failed = {}, {}
    for text in map(os.fspath, inputs):
        for source, relative in _expand(text, out.resolve(), failed, films):
            found.setdefault(source, relative)
    if not found:
        reasons = [*(f"{name}: {reason}" for name, reason in failed.items()), ignored_line(_ignored(inputs, films))]
        listing = "; ".join(filter(None, reasons)) or f"none among {', '.join(map(str, inputs)) or 'no inputs'}"
        raise SourceError(f"no images ({' '.join(_endings(films))}) to work on: {listing}")
    jobs = _name_outputs(found, out, format, settings, mark)
    itself = [source for source in found if source not in jobs]
    if itself and (not jobs or out.resolve() in [Path(text).expanduser().resolve() for text in inputs]):
        raise SourceError(f"`out` {str(out)!r} would replace the input {str(itself[0])!r}; choose another folder")
    failed |= {str(source): "would be replaced by its own result; choose another folder for it" for source in itself}
    return [jobs[source] for source in found if source in jobs], failed


def _endings(films):
    return EXTENSIONS + CLIPS if films else EXTENSIONS


def _expand(text, out, failed, films):
    path = Path(text).expanduser()
    if path.is_dir():
        yield from _walk(path, out, failed, films)
    elif path.exists():
        yield path, Path(path.name)  # named by the user: tried whatever it is called
    else:
        matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
        if not matches:
            failed[text] = "no such file or folder, and no glob that matches"
        root = _fixed_part(path)
        for match in matches:
            if match.is_dir():
                inside = ((file, match / relative) for file, relative in _walk(match, out, failed, films))
            else:
                inside = [(match, match)] if match.suffix.lower() in _endings(films) else []
            for file, relative in inside:
                if not (root.resolve() in out.parents and out in file.resolve().parents):
                    yield file, relative.relative_to(root)


def _walk(folder, out, failed, films):
    """Yield the images, and perhaps films, of a folder, sorted; follows links, but into each folder once."""

    def unreadable(error):
        failed[error.filename] = error.strerror or str(error)

    visited = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(root)
        if real in visited or (real == str(out) and Path(root) != folder):
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(_endings(films)):
                file = Path(root, name)
                yield file, file.relative_to(folder)


def _ignored(inputs, films):
    """``{ending: count}`` of all files in the folders among the inputs that are no images, or films, by their names."""
    folders = {path.resolve() for path in (Path(text).expanduser() for text in inputs) if path.is_dir()}
    counts = collections.Counter()
    for folder in folders:
        with contextlib.suppress(SourceError):  # it cannot be listed, which is told as a failure
            counts.update(ignored_kinds(folder))
    return {ending: count for ending, count in counts.most_common() if ending not in _endings(films)}


def _fixed_part(pattern):
    fixed = Path(pattern.anchor)
    for part in pattern.parts[len(fixed.parts) : -1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def _name_outputs(found, out, format, settings, mark):
    """``{source: Job}``, all targets different also where upper and lower case are the same, and none an input.

    Without those whose target would be the source itself.
    """
    suffixes = {source: _suffix(source.suffix, format) for source in found}
    inputs = {os.path.realpath(source) for source in found}
    taken, jobs = set(), {}
    # Files that keep their name come first, so that a.png stays a.png whether or not there is an a.tif.
    for source in sorted(found, key=lambda source: suffixes[source] != source.suffix):
        names = (out / name for name in _names(found[source], mark + suffixes[source]))
        job = Job(source, next(names), settings(source), names=names)
        if os.path.realpath(job.target) == os.path.realpath(source):
            continue
        origin = None
        while True:
            if str(job.target).casefold() not in taken and os.path.realpath(job.target) not in inputs:
                if not os.path.lexists(job.target):
                    break
                origin = origin or _readable_origin(job)
                job.there = compare(job.target, origin)
                if job.there != OTHER:
                    break
            job.target, job.renamed, job.there = next(names), True, ""
        taken.add(str(job.target).casefold())
        jobs[source] = job
    return jobs


def _readable_origin(job):
    try:
        return origin_of(job.source, job.settings)
    except OSError:  # working on it will say why
        return Origin("", os.path.realpath(job.source), "")


def _names(relative, suffix):
    """Names for an output in order of preference: a.tif beside a.png becomes a.tif.png; a second a.png a-2.png."""
    stem, ending = os.path.splitext(relative.name)
    yield relative.with_name(fitting(stem, suffix))
    if ending != suffix:
        stem = relative.name
        yield relative.with_name(fitting(stem, suffix))
    for number in itertools.count(2):
        yield relative.with_name(fitting(stem, f"-{number}{suffix}"))


def _suffix(suffix, format):
    lower = suffix.lower()
    if lower in CLIPS:
        return suffix if lower in FORMATS else ".mkv"
    if format is None:
        return suffix if lower in _WRITABLE else ".jpg" if lower in _ALSO_JPEG else ".png"
    fits = lower in _JPEG if format == "jpg" else lower == ".png"
    return suffix if fits else f".{format}"
