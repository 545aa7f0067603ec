"""Emitters: functions from payloads to files of the output. ``table.py`` lists them."""
