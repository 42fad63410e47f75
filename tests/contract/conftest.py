"""What several suites of promises ask for."""

import pytest

from postgresql_server import running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """URL of a PostgreSQL server made for these tests, where it is installed."""
    with running_server(tmp_path_factory) as url:
        yield url
