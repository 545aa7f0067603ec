variable "outputs" {
  description = "The rendered cluster: outputs/<cluster> of kgen. Relative paths start where terraform runs."
  type        = string
}

variable "published" {
  description = "Whether the machines get stubs, which `kgen publish` has written, instead of whole documents."
  type        = bool
  default     = true
}

variable "policies" {
  description = "The file with the output of `kgen publish CLUSTER_FILE --bucket BUCKET --print-policies`."
  type        = string
  default     = "policies.json"
}

variable "ami" {
  description = "The image, made by the recipe of `kgen bake`. Another one is for new machines only."
  type        = string

  validation {
    condition     = startswith(var.ami, "ami-")
    error_message = "The id of an image begins with ami-."
  }
}

variable "security_group_ids" {
  description = "Security groups of all machines. Masters need 6443 from everywhere in the cluster, 2379 and 2380 among them."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "Without a group, machines get the default group of the VPC."
  }
}

variable "protect_masters" {
  description = "Whether EC2 refuses to terminate masters. Their disks have the cluster's data."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of instances, disks and roles, besides Name."
  type        = map(string)
  default     = {}
}

variable "machines" {
  description = "The listed machines by their names in the cluster file, with role and address as there."
  type = map(object({
    role          = string
    address       = string
    subnet_id     = string
    instance_type = optional(string, "m7i.large")
    disk_gib      = optional(number, 30)
  }))

  validation {
    condition     = alltrue([for machine in values(var.machines) : contains(["master", "node"], machine.role)])
    error_message = "A machine's role is master or node."
  }

  validation {
    condition     = alltrue([for machine in values(var.machines) : can(cidrhost("${machine.address}/32", 0))])
    error_message = "A machine's address is an IPv4 address, as in the cluster file."
  }
}
