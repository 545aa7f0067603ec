"""Compares documents by what they mean to a machine."""
