"""Payloads in a bucket: the only room that imports boto3."""
