# The listed machines of a cluster on EC2. User-data comes from kgen: run `kgen render`, and `kgen publish` if it is by
# reference. A change of user-data does not replace a machine: `kgen apply` changes running ones.

locals {
  user_data = var.published ? "${var.outputs}/publish/user-data" : "${var.outputs}/user-data"
}

resource "aws_instance" "machine" {
  for_each = var.machines

  ami                         = var.ami
  instance_type               = each.value.instance_type
  subnet_id                   = each.value.subnet_id
  private_ip                  = each.value.address
  vpc_security_group_ids      = var.security_group_ids
  iam_instance_profile        = var.published ? aws_iam_instance_profile.machine[each.value.role].name : null
  user_data_base64            = sensitive(filebase64("${local.user_data}/${each.key}.yaml.gz")) # not in the plan's output
  user_data_replace_on_change = false
  disable_api_termination     = each.value.role == "master" && var.protect_masters

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1 # keeps pods out
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = each.value.disk_gib
    encrypted   = true
    tags        = merge(var.tags, { Name = each.key })
  }

  tags = merge(var.tags, { Name = each.key })

  lifecycle {
    ignore_changes = [ami, user_data_base64]
  }
}

# One role for masters and one for nodes, because a node must not read a master's keys. The policies are those that
# `kgen publish … --print-policies` prints.
resource "aws_iam_role" "machine" {
  for_each = var.published ? toset(["master", "node"]) : toset([])

  name_prefix = "kgen-${each.key}-"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  for_each = aws_iam_role.machine

  role   = each.value.id
  policy = jsonencode(jsondecode(file(var.policies))[each.key])
}

resource "aws_iam_instance_profile" "machine" {
  for_each = aws_iam_role.machine

  name_prefix = "kgen-${each.key}-"
  role        = each.value.name
  tags        = var.tags
}
