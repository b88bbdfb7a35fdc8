# SPDX-License-Identifier: Apache-2.0
"""The page of a trace: HTML, style and scripts, each in a file, put into one."""
