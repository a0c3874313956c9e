"""What the Hugging Face hub's library logs of a network that is not there: once, not at each of five attempts."""

import functools
import logging


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
