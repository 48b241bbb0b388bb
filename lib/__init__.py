"""Six papers, rerun: methods, kernels, batches and the ledger of claims."""
