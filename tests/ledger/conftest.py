"""The toy checkout, for every test that wants one."""

import pytest

from tests.ledger.toy import toy_checkout


@pytest.fixture
def checkout(tmp_path):
    return toy_checkout(tmp_path / "checkout")
