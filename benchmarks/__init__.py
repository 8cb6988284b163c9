"""How much load the site carries: ``python3 dev.py bench``; docs/performance.md reads the figures.

``__main__`` is the door, ``stage`` has data and servers, ``reads``, ``writes`` and ``crowds``
measure, ``verdict`` judges and ``report`` writes. None of it is imported by the site.
"""
