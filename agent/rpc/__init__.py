# SPDX-License-Identifier: Apache-2.0
"""The thin layer between ttrpc and the domain.

Each class has the methods of one group of calls, and a method checks the request, calls
the domain and builds the reply. No method holds a lock or makes a system call.
"""
