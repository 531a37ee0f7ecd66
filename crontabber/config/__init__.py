"""From the command line and the files to a configuration."""
