"""The house's rules as functions: each takes a path and a text and returns what is wrong.

``tests/test_conventions.py`` runs them over the tree, and each of them on a made-up offence.
"""
