"""Where studies are run into, and what the small one comes to."""

import pytest
from study_stored import PLANE


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def expected():
    return PLANE.run(workers=1).frame
