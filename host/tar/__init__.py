# SPDX-License-Identifier: Apache-2.0
"""Tar archives of strangers: images, and what guests send.

tar_entries    the entries of an archive, in bounded memory
unpack         a file or a directory out of an archive, beneath one place
pack           a file or a directory as an archive
"""
