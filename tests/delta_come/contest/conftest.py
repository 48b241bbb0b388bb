import pytest

from tests.delta_come.contest.pairs import made_up_setting


@pytest.fixture(scope="session")
def setting():
    return made_up_setting()
