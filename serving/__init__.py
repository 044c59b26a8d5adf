"""Question in, answer out, over HTTP."""
