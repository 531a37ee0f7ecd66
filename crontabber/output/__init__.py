"""Everything that people and machines read: log lines, messages, progress."""
