# SPDX-License-Identifier: Apache-2.0
"""The guest's network, which all containers of the sandbox share.

It works before there is a sandbox: runtimes set the network up first. Changes
happen one after the other, and one that fails leaves the network as it was.
"""
