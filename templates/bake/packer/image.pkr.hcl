# Made by kgen bake; ../README.md has the commands. Packer 1.6.6 or newer.
variable "base" {
  type        = string
  description = "The QEMU builder's cloud image: path or URL of a Debian or Ubuntu image with cloud-init."
  default     = "base.qcow2"
}

variable "base_checksum" {
  type        = string
  description = "Its checksum, as sha256:… or file:URL."
}

variable "archives" {
  type        = string
  description = "Directory with the archives of the container images, as kgen images save wrote it."
  default     = "images"
}

variable "files" {
  type        = string
  description = "Directory with the programs that the cluster file names by file:; an empty one where there are none."
  default     = "files"
}

variable "region" {
  type        = string
  description = "The cloud builder's region."
  default     = "eu-central-1"
}

variable "source_ami" {
  type        = string
  description = "The cloud builder's base image: an AMI of Debian or Ubuntu."
  default     = "ami-00000000000000000"
}

source "qemu" "image" {
  iso_url          = var.base
  iso_checksum     = var.base_checksum
  disk_image       = true
  disk_size        = "10G"
  format           = "qcow2"
  headless         = true
  output_directory = "image"
  ssh_username     = "debian"
  ssh_timeout      = "20m"
  shutdown_command = "sudo systemctl poweroff"
}

source "amazon-ebs" "image" {
  ami_name      = "kgen-__VERSION__-__RECIPE__"
  instance_type = "t3.medium"
  region        = var.region
  source_ami    = var.source_ami
  ssh_username  = "admin"
}

build {
  sources = ["source.qemu.image", "source.amazon-ebs.image"]

  provisioner "shell" {
    inline = ["mkdir -p /tmp/kgen/archives /tmp/kgen/files"]
  }

  provisioner "file" {
    source      = "../"
    destination = "/tmp/kgen/recipe"
  }

  provisioner "file" {
    source      = "${var.archives}/"
    destination = "/tmp/kgen/archives"
  }

  provisioner "file" {
    source      = "${var.files}/"
    destination = "/tmp/kgen/files"
  }

  provisioner "shell" {
    inline = ["sudo sh /tmp/kgen/recipe/apply --image --archives /tmp/kgen/archives --files /tmp/kgen/files /", "sudo rm -rf /tmp/kgen"]
  }
}
