"""The user-data document: payload and program as ``#cloud-config``, and its size for a provider."""
