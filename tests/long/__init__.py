"""Proofs that take minutes: the suite has a small case of each. run.sh runs them; nothing else does."""
