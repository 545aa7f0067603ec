"""The way from kubeadm's configuration to a cluster file, and back."""
