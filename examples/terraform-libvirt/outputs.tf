output "domains" {
  description = "The domains of libvirt by the names of their machines: `virsh console` takes them."
  value       = { for name, domain in libvirt_domain.machine : name => domain.name }
}
