"""The commented cluster file that ``kgen init`` writes."""

from __future__ import annotations

from kgen.facts import versions

SCHEMA_FILE = "kgen.schema.json"
"""The name of the JSON Schema beside the cluster file, which the first line tells to editors."""

_STARTER = """\
# yaml-language-server: $schema={schema}
# A cluster in one file. `kgen explain` lists the keys and their meaning.
# Names are kubeadm's where the concept is the same.
apiVersion: kgen/v1
name: {name}
kubernetesVersion: {version}

# What clients reach the API servers at: a load balancer or virtual IP. Required with more than one master.
# controlPlaneEndpoint: api.{name}.example.com:6443

networking:
  # Addresses of pods. It has no default: give what your network plug-in expects.
  podSubnet: 10.244.0.0/16
  # serviceSubnet: 10.96.0.0/12
  # dnsDomain: cluster.local

# Where the machines run: decides how large user-data may be.
# provider: ec2

# One entry for each machine: one, three or five masters, and any number of nodes.
machines:
  - {{name: m1, role: master, address: 10.0.0.11}}
  - {{name: w1, role: node, address: 10.0.0.21}}

# One document for any number of nodes.
# pools:
#   - {{name: workers, role: node, labels: {{tier: web}}}}

# What the CIS Kubernetes Benchmark asks for.
# hardening: cis

# Keep pods from the cloud's metadata service, which gives out user-data and credentials.
# metadataFence: true

# Arguments of kube-apiserver, kube-controller-manager and kube-scheduler override kubeadm's.
# apiServer:
#   certSANs: [api.internal]
#   extraArgs:
#     - {{name: profiling, value: "false"}}

# Fields of KubeletConfiguration.
# kubelet:
#   maxPods: 110

# Console users, as in cloud-init; documents get a hash of the password.
# users:
#   - default
#   - {{name: ops, ssh_authorized_keys: [ssh-ed25519 AAAA… ops], lock_passwd: true}}
"""


def starter_text(name: str) -> str:
    """Return a cluster file named ``name``, an RFC 1123 label, that can be rendered as it is."""
    return _STARTER.format(schema=SCHEMA_FILE, name=name, version=versions.newest())
