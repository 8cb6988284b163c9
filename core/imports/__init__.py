"""Books from CSV files: read a row, know which book it is, write what differs.

``reading`` turns a file into rows, ``records`` a row into a ``Record`` (``isbn`` and ``names``
know the two hard columns), ``repeats`` keeps one row per book of a file, ``identity`` finds
the book of the catalogue a record means, ``writing`` writes a batch, ``running`` joins them.
What is refused or noted, and why, is in ``remarks``. docs/import.md tells the rules.
"""
