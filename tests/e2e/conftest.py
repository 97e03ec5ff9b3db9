"""Fixtures of the tests that start real servers."""

from tests.e2e.prefect_server_fixture import prefect_server as prefect_server
