import hashlib

import pytest

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora import CorpusError, load
from lib.corpora.tokens import load_tokenizer, token_blocks, tokenizer_folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


@pytest.fixture
def corpus(checkout):
    return load(packages=("packaging", "jinja2", "tornado"), checkout=checkout)


@pytest.fixture
def tokenizer(corpus, checkout):
    return load_tokenizer(tokenizer_folder(corpus, 400, checkout))


@pytest.mark.parametrize("text", ["plain words", "  indented\n\tcode = 'é' # ½ 漢字 🙂", "", "don't  can't"])
def test_every_text_comes_back_exactly(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_it_has_the_size_asked_for_and_ends_texts_with_token_zero(tokenizer):
    assert len(tokenizer) == 400
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == 0


def test_made_again_it_is_the_same_file(corpus, checkout, tmp_path):
    def digest(store):
        return hashlib.sha256((tokenizer_folder(corpus, 400, store) / "tokenizer.json").read_bytes()).hexdigest()

    assert digest(checkout) == digest(Checkout(tmp_path))


def test_blocks_are_the_documents_end_to_end(corpus, tokenizer):
    blocks = token_blocks(corpus.train, tokenizer, 16, 8)
    first = tokenizer(corpus.train[0]["text"])["input_ids"]
    assert blocks.shape == (8, 16)
    assert [*first, tokenizer.eos_token_id][:128] == blocks.flatten().tolist()[: len(first) + 1]


def test_fewer_blocks_are_the_first_of_more(corpus, tokenizer):
    assert token_blocks(corpus.test, tokenizer, 16, 5).equal(token_blocks(corpus.test, tokenizer, 16)[:5])


def test_more_blocks_than_there_is_text_for_is_an_error(corpus, tokenizer):
    with pytest.raises(CorpusError, match=r"have \d+ tokens, fewer than 100000 blocks of 128"):
        token_blocks(corpus.validation, tokenizer, 128, 100_000)


@pytest.mark.parametrize(("vocabulary", "message"), [(200, "at least 257"), (10**6, "tokens only, wanted 1000000")])
def test_an_impossible_vocabulary_is_an_error(corpus, checkout, vocabulary, message):
    with pytest.raises(CorpusError, match=message):
        tokenizer_folder(corpus, vocabulary, checkout)
