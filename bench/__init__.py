"""Measures kgen side by side with kubeadm, in one run: ``python -m bench``."""
