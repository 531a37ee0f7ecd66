"""Proofs that take minutes: the suite has a small case of each. Only run.sh runs them."""
