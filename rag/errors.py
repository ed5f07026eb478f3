"""Everything Nightjar raises on purpose, as one tree.

NightjarError                    exit 1   something that we foresaw went wrong
├── UsageError                   exit 2   the request makes no sense as given
│   ├── SettingsError            exit 2   a setting is unknown, or has a value it can't have
│   ├── NotFoundError            exit 2   an id or a path names nothing
│   └── ForbiddenError           exit 2   this person may not do that
├── DocumentError                exit 1   one file can't be read; the others go on
├── EncoderError                 exit 1   a version's files are absent, changed or not what they claim
├── IndexTornError               exit 1   Chroma's files are damaged; they are rebuilt from SQL
├── ChatModelError               exit 1   a language model wrote no answer; the best sentences are quoted instead
│   └── ChatModelSkippedError    exit 1   it was not asked: it rests, is busy, or its window is too small
├── TrainingError                exit 1   a night can't go on
├── TooLittleDataError           exit 4   too few judgments or questions to say anything
└── BusyError                    exit 75  another process holds what is needed; try later
    └── TooFastError             exit 75  this person asks or votes more often than is allowed; try later

A message has three parts: the value, the rule, the way out.
"""

from __future__ import annotations


class NightjarError(Exception):
    """Something that we foresaw went wrong; the message is for people."""

    exit_code = 1


class UsageError(NightjarError):
    """The request makes no sense as given."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, or has a value it can't have."""


class NotFoundError(UsageError):
    """An id or a path names nothing."""


class ForbiddenError(UsageError):
    """The person may not do what was asked for."""


class DocumentError(NightjarError):
    """One file can't be read; the others go on."""


class EncoderError(NightjarError):
    """A version's files are absent, changed or not what they claim to be."""


class IndexDamagedError(NightjarError):
    """Chroma's files are damaged; they are quarantined and rebuilt from SQL."""


class ChatModelError(NightjarError):
    """A language model wrote no answer, or not all of it; the best sentences are quoted instead."""


class ChatModelSkippedError(ChatModelError):
    """A language model was not asked: it rests after failures, is busy, or the question does not fit its window."""


class TrainingError(NightjarError):
    """A night can't go on."""


class TooLittleDataError(NightjarError):
    """Too few judgments or questions to say anything."""

    exit_code = 4


class BusyError(NightjarError):
    """Another process holds what is needed; try later."""

    exit_code = 75


class RateLimitError(BusyError):
    """Somebody asks, votes or tries to sign in more often than is allowed."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        """*retry_after_s* is after how many seconds it may be tried again."""
        super().__init__(message)
        self.again_s = retry_after_s
