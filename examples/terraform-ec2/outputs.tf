output "instance_ids" {
  description = "The instances by the names of their machines."
  value       = { for name, instance in aws_instance.machine : name => instance.id }
}
