"""Six papers, rerun: methods, kernels, batches and the ledger of claims."""

AUTHORS = "The Six papers, rerun authors"  # as in pyproject.toml, CITATION.cff and NOTICE; a test holds them together
