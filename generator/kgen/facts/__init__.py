"""Facts about Kubernetes, kubeadm and cloud providers, as tables. Nothing here knows a cluster file."""
