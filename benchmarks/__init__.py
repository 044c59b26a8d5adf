"""Side-by-side measurements, one module each; `make bench` runs them."""
