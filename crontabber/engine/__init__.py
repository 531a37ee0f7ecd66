"""One tick: which jobs run, how each runs, and what is stored of it."""
