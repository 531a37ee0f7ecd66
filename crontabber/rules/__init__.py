"""The rules: pure functions over values. No clock, no I/O, no configman."""
