"""Families of test conversations: one module each, ``scenarios()`` gives all of its cases.

Every family has at least 40 cases, one half in held-out synthetic voices and one half cut from
human recordings, in turn, so that any first part of it holds both.
"""
