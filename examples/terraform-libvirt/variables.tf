variable "name" {
  description = "The cluster's name. Names in libvirt begin with it."
  type        = string
}

variable "outputs" {
  description = "The rendered cluster: outputs/<cluster> of kgen. Relative paths start where terraform runs."
  type        = string
}

variable "image" {
  description = "The image, made by the recipe of `kgen bake`: a file in the format qcow2, or its URL. Copied once."
  type        = string
}

variable "kernel" {
  description = "The kernel of an image without boot loader: a path on the host. Null: the image boots itself."
  type        = string
  default     = null
}

variable "initrd" {
  description = "The initrd of an image without boot loader: a path on the host."
  type        = string
  default     = null
}

variable "pool" {
  description = "The storage pool for all disks."
  type        = string
  default     = "default"
}

variable "network" {
  description = "The machines' network. It contains their addresses, and is none that the host has already."
  type        = string

  validation {
    condition     = can(cidrhost(var.network, 1))
    error_message = "The network has the form 192.168.88.0/24."
  }
}

variable "machines" {
  description = "The listed machines by their names in the cluster file, with address and mac as there."
  type = map(object({
    address    = string
    mac        = string
    vcpus      = optional(number, 2)
    memory_mib = optional(number, 4096)
    disk_gib   = optional(number, 20)
  }))

  validation {
    condition     = alltrue([for machine in values(var.machines) : can(cidrhost("${machine.address}/32", 0))])
    error_message = "A machine's address is an IPv4 address, as in the cluster file."
  }

  validation {
    condition     = alltrue([for machine in values(var.machines) : can(regex("^([[:xdigit:]]{2}:){5}[[:xdigit:]]{2}$", machine.mac))])
    error_message = "A machine's mac has the form 52:54:00:00:01:11."
  }
}
