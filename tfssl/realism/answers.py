"""Files of answers, as the page of the human test gives them: read, checked, one of each participant."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfssl.data.listing import expand
from tfssl.errors import SourceError

Format = Literal["tfssl realism-test 1"]
"""What every file of answers says it is."""

_MAX_BYTES = 10_000_000
_Word = Annotated[str, Field(min_length=1, max_length=1000)]
_Count = Annotated[int, Field(ge=0, le=100_000)]
_Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Protocol(_Part):
    """What was fixed when the page was made, see :func:`tfssl.realism.page.write_test`."""

    practice: _Count
    pairs: Annotated[_Count, Field(ge=1)]
    checks: Annotated[_Count, Field(ge=1)]
    checks_needed: _Count
    seconds: Annotated[float, Field(gt=0)]


class Trial(_Part):
    """One pair: which side was real, which was said to be fake, after how many ms, and how long each was shown."""

    kind: Literal["practice", "check", "test"]
    image: _Word
    left_is_real: bool
    answer: Literal["left", "right"]
    reaction_ms: _Milliseconds
    shown_ms: Annotated[list[_Milliseconds], Field(min_length=2, max_length=2)]

    @property
    def fooled(self):
        """Whether the real one was said to be fake."""
        return (self.answer == "left") == self.left_is_real


class Session(_Part):
    """The answers of one participant, who saw one model."""

    format: Format
    study: _Word
    protocol: Protocol
    participant: _Word
    algorithm: _Word
    started: _Word
    finished: _Word
    screen: list[float]
    trials: list[Trial]

    def of(self, kind):
        """Its trials of a kind."""
        return [trial for trial in self.trials if trial.kind == kind]

    @property
    def checks_passed(self):
        """How many attention checks were answered right."""
        return sum(not trial.fooled for trial in self.of("check"))

    @property
    def counts(self):
        """Whether it passes the rule that was fixed in advance."""
        return self.checks_passed >= self.protocol.checks_needed


@dataclasses.dataclass(frozen=True)
class Answers:
    """Sessions of one study, one for each participant; ``refused`` files, ``{path: reason}``."""

    sessions: list[Session]
    refused: dict[str, str]


def read_answers(inputs):
    """Read files, folders and globs of answers.

    Refused, each with its reason, are files that are damaged or no answers; those of another study than most are of;
    and all but the first session of a participant, who may take part once.

    Raises:
        SourceError: if an input is not there, or no file is left.
    """
    paths = dict.fromkeys(path for text in inputs for path in _files(text))
    found, refused = {}, {}
    for path in paths:
        try:
            found[path] = _read(path)
        except ValueError as error:
            refused[path] = str(error)
    study = Counter(session.study for session in found.values()).most_common(1)
    first = {}
    for path, session in sorted(found.items(), key=lambda item: item[1].started):
        if session.study != study[0][0]:
            refused[path] = f"answers of another page: study {session.study}, most are of {study[0][0]}"
        elif (earlier := first.setdefault(session.participant, path)) != path:
            same = "the same session" if found[earlier] == session else "an earlier session"
            refused[path] = f"participant {session.participant!r} again, {same} is in {earlier}"
    kept = [session for path, session in found.items() if path not in refused]
    if not kept:
        path, reason = next(iter(refused.items()), (", ".join(inputs), "no .json in it"))
        raise SourceError(
            f"no file of answers; give those that the page of tfssl realism-test saved ({path}: {reason})"
        )
    return Answers(kept, refused)


def _files(text):
    """What an input names; of a folder the .json files."""
    found = expand(text)
    return [path for path in found if path.lower().endswith(".json")] if Path(text).expanduser().is_dir() else found


def _read(path):
    """The session in a file; ValueError says in one line what is wrong with it."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES // 10**6} MB: no answers of a session")
    try:
        session = Session.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"][:1] == ("format",) or not first["loc"]:
            what = "damaged: it ends early or is no JSON" if first["type"] == "json_invalid" else "no answers"
            raise ValueError(f"{what} of tfssl realism-test ({first['msg']})") from None
        raise ValueError(f"damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    protocol = session.protocol
    expected = {"practice": protocol.practice, "check": protocol.checks, "test": protocol.pairs}
    numbers = {kind: len(session.of(kind)) for kind in expected}
    if numbers != expected:
        raise ValueError(f"damaged: it holds {numbers} trials, a session has {expected}")
    if len({trial.image for trial in session.trials}) < len(session.trials):
        raise ValueError("damaged: a photograph comes twice")
    return session
