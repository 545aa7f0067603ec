"""The Kubernetes content of a cluster: manifests, kubelet files, kubeconfigs, add-ons, API objects."""
