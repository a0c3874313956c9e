"""Which chunks of a build are done: a file of JSON lines that is never ahead of what lies on the disk."""

import json
import os
import time
from pathlib import Path


class Journal:
    """Notes of finished chunks, written every few seconds, after the images themselves were flushed to the disk."""

    def __init__(self, path: Path, part: Path, every_seconds: float = 2.0):
        self.path, self.part, self.every_seconds = path, part, every_seconds
        self.lines: list[str] = []
        self.last = time.monotonic()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self.flush()

    def read(self) -> dict[int, tuple[dict[str, str], str]]:
        """First row of every finished chunk -> (its rows that cannot be read, digest); a line cut short ends it."""
        done = {}
        try:
            for line in self.path.read_text().splitlines():
                at, reasons, digest = json.loads(line)
                done[at] = reasons, digest
        except FileNotFoundError:
            pass
        except ValueError:
            self._rewrite(done)
        return done

    def _rewrite(self, done: dict) -> None:
        self.path.write_text("".join(json.dumps([at, *told]) + "\n" for at, told in done.items()))

    def add(self, at: int, reasons: dict[int, str], digest: str) -> None:
        """Note a finished chunk."""
        self.lines.append(json.dumps([at, reasons, digest]) + "\n")
        if time.monotonic() - self.last > self.every_seconds:
            self.flush()

    def flush(self) -> None:
        """Bring images, then notes to the disk: a note without its images would be a picture that is black."""
        if not self.lines:
            return
        with open(self.part, "rb") as store:
            os.fsync(store.fileno())
        with open(self.path, "a") as stream:
            stream.writelines(self.lines)
            stream.flush()
            os.fsync(stream.fileno())
        self.lines, self.last = [], time.monotonic()
