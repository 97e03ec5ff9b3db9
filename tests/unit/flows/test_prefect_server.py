"""How the Prefect server that `papertray up` starts is told what it needs."""

from pathlib import Path

import pytest

from flows.prefect_server import TUNING, server_environment


def test_every_setting_is_one_of_prefects():
    import prefect.settings

    asked = {name for name in TUNING if name.startswith("PREFECT_")}
    assert {name for name in asked if getattr(prefect.settings, name, None) is None} == set()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("box.lan", "box.lan")],
)
def test_the_ui_is_told_an_address_that_a_browser_can_reach(
    tmp_path: Path, host: str, expected: str
):
    environment = server_environment(tmp_path, host, 4300)

    assert environment["PREFECT_SERVER_UI_API_URL"] == f"http://{expected}:4300/api"


def test_a_postgresql_is_used_as_given(tmp_path: Path):
    url = "postgresql+asyncpg://someone@db/prefect"

    assert (
        server_environment(tmp_path, "127.0.0.1", 4200, url)[
            "PREFECT_SERVER_DATABASE_CONNECTION_URL"
        ]
        == url
    )
