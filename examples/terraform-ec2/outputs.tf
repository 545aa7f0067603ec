output "instance_ids" {
  description = "The instances by the names of their machines."
  value       = { for name, instance in aws_instance.machine : name => instance.id }
}

output "role_names" {
  description = "The IAM roles of masters and of nodes, for policies of your own. Empty unless `published`."
  value       = { for role, resource in aws_iam_role.machine : role => resource.name }
}
