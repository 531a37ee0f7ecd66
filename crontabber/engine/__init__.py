"""A tick: choose the jobs to run, run them, store how each ended."""
