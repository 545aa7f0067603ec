"""The output directory: artifacts, the lock file, and the only code that writes below it."""
