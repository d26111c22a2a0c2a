"""Standard output and error that are closed, or whose reader is gone, end no work."""

import io
import os
import sys


def open_streams():
    """Make stdin, stdout and stderr safe to write to, whatever they were at the start."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed (2>&-): the next file that is opened must not be mistaken for it
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__"):
            stream.flush()
            raw = _Output(descriptor, "w", closefd=False)
            raw.name = f"standard {'output' if descriptor == 1 else 'error'}"
            buffer = raw if isinstance(stream.buffer, io.RawIOBase) else io.BufferedWriter(raw)
            how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            # Names that the terminal's encoding lacks are shown as escapes.
            setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", **how))


class _Output(io.FileIO):
    """A standard stream: what cannot be written goes nowhere, without a word if nobody reads it any more."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                return len(data)
            raise OSError(error.errno, error.strerror, self.name) from None
