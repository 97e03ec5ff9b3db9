"""What the addresses under /v1 have in common."""

from api.auth import V1_SPELLINGS
from api.route import SurfaceRoute


class V1Route(SurfaceRoute):
    """An address under /v1."""

    surface = "v1"
    spellings = V1_SPELLINGS
