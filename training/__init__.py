"""Documents and examples in, adapter out."""
