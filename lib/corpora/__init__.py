"""Text to train and measure on: what the pinned packages say about themselves, a folder of files, or a hub data set.

    corpus = load()                      # the docstrings of the packages in requirements.lock; needs no download
    corpus = load("folder/of/texts")     # .txt, .md, .rst files
    corpus = load("owner/name")          # a data set of the hub, or a local folder in its format

    corpus.train, corpus.validation, corpus.test     # datasets.Dataset with columns text, group, document
    corpus.manifest                                  # what it is made of, its hash, how much of held-out text leaked

    tokenizer = load_tokenizer(tokenizer_folder(corpus, vocabulary=2048))
    blocks = token_blocks(corpus.test, tokenizer, length=128)          # int32 [blocks, 128]

Every source goes the same way: documents are deduplicated, no group gets more than its share, whole groups (packages,
sub-folders) are held out, and the share of held-out 13-grams that still stand in the training text is measured.
"""

from lib.corpora.corpus import Corpus, load
from lib.corpora.errors import CorpusError
from lib.corpora.manifest import GroupCount, Manifest
from lib.corpora.packages import PACKAGES, SMALL, Package
from lib.corpora.tokens import load_tokenizer, token_blocks, tokenizer_folder

__all__ = [
    "PACKAGES",
    "SMALL",
    "Corpus",
    "CorpusError",
    "GroupCount",
    "Manifest",
    "Package",
    "load",
    "load_tokenizer",
    "token_blocks",
    "tokenizer_folder",
]
