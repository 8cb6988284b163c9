"""What Prometheus is told of this site. ``docs/observability.md`` says how.

``counting`` is called by requests and tasks, ``names`` lists what is exported, ``shared`` keeps
what the processes of a machine counted, ``asked`` asks servers when somebody scrapes, and
``views`` answers.
"""
