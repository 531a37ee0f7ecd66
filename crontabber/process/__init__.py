"""The operating system's process: signals, streams, children, memory."""
