"""What crontabber can be asked to do, one module per mode."""
