"""The types of arrays, once for the whole house; what their axes are is in the docstrings that use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""Vectors and scores as encoders make them."""
DoubleArray = NDArray[np.float64]
"""Figures that statistics are made of."""
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
