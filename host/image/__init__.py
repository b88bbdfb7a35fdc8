# SPDX-License-Identifier: Apache-2.0
"""Images of containers: read as they were saved, checked, unpacked and kept.

    archive          an image in a file or directory, of either format
    oci_layout       the OCI's format (image-spec, image-layout.md)
    docker_archive   the format of `docker save`
    tar_source, directory_source    the files of an archive
    config, platform    what an image says of itself
    layer_stream     a layer's bytes: decompressed, bounded, its digests checked
    unpack           a layer's entries: checked and handed to a sink
    layer_directory  a sink: a lower directory for overlayfs
    erofs_image      a sink: all layers as one read-only disk
    image_store      the images of this user

An archive comes from anywhere, so nothing in it is believed: the paths of entries stay
inside, sizes and numbers are bounded, digests are checked.
"""
