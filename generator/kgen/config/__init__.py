"""The cluster file: its keys, its rules, and how it is loaded."""
