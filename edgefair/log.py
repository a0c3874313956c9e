"""What the user sees while work goes on: a live bar in a terminal, plain lines with the time elsewhere."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Log:
    """Lines and progress on standard error, so that standard output holds results only."""

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or Console(stderr=True, highlight=False)
        self.quiet = quiet

    def line(self, text: str) -> None:
        """Print a line, with the time of day where there is no terminal."""
        if self.quiet:
            return
        if self.console.is_terminal:
            self.console.print(text, markup=False)
        else:
            self.console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how much of `total` is done; yields a function that takes each advance."""
        if self.quiet or not self.console.is_terminal:
            with self._plain(what, total) as advance:
                yield advance
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda amount: bar.advance(task, amount)

    @contextlib.contextmanager
    def _plain(self, what: str, total: int, every_seconds: float = 15.0) -> Iterator[Callable[[int], None]]:
        """A line whenever a while has passed: a short stage stays silent, a long one shows that it lives."""
        done, last = 0, time.monotonic()

        def advance(amount: int) -> None:
            nonlocal done, last
            done += amount
            if time.monotonic() - last > every_seconds:
                last = time.monotonic()
                self.line(f"{what}: {done}/{total}")

        yield advance


@functools.cache
def say_retries_once() -> None:
    """From now on the first attempt that fails is a line, and the others are silent; other records are left alone."""
    logging.getLogger("huggingface_hub.utils._http").addFilter(Once())


class Once(logging.Filter):
    """Lets the first record about a failed attempt pass, in words, and no other such record."""

    said = False

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if not text.startswith("Retrying in") and "thrown while requesting" not in text:
            return True
        first, self.said = not self.said, True
        record.msg, record.args = "the Hugging Face hub does not answer; it is asked for most of a minute", ()
        return first
