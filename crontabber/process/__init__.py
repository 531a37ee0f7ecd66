"""What belongs to the process of the operating system: signals, streams, children, memory."""
