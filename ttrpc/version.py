# SPDX-License-Identifier: Apache-2.0
"""The version of the distribution `ttrpc`, in one place and with no imports."""

from typing import Final

VERSION: Final = "0.1.0"
