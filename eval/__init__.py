"""Questions in, verdict out."""
