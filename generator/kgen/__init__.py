"""kgen: compute a Kubernetes cluster offline, from one file, and emit cloud-init user-data."""

__version__ = "0.1.0"
