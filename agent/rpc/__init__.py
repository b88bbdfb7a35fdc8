# SPDX-License-Identifier: Apache-2.0
"""The thin layer between ttrpc and the domain.

Each module is a part of grpc.AgentService: one class whose methods check the
request, call the domain and build the reply. No method holds a lock or touches
the kernel. What no class implements answers UNIMPLEMENTED, by name.
"""
