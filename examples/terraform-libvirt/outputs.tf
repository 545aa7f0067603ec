output "domains" {
  description = "The domains of libvirt by the names of their machines: `virsh console` takes them."
  value       = { for name, domain in libvirt_domain.machine : name => domain.name }
}

output "network_id" {
  description = "The network of libvirt, for machines of pools."
  value       = libvirt_network.cluster.id
}
