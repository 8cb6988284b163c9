from __future__ import annotations

import pytest

from .processes import empty_queues
from .smtp import sink as smtp_sink


@pytest.fixture
def sink():
    """A mail server of the test's own, which the site knows about."""
    with smtp_sink() as found:
        yield found


@pytest.fixture
def queues_of_ones_own(transactional_db):
    """Nothing waits in the queues, before and after."""
    empty_queues()
    yield
    empty_queues()
