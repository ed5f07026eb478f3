"""One model is read at a time in this process.

While transformers reads a model, torch's default dtype is that model's, for every thread: a second model that is read at
the same time gets some of its weights in the first one's precision, and fails at its first use.
"""

from __future__ import annotations

from threading import Lock

MODEL_LOAD_LOCK = Lock()
