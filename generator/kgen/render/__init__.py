"""From a Cluster to texts: manifests, kubeconfigs, kubelet files, API objects, user-data."""
