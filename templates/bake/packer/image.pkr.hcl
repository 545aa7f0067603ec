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
  description = "Directory with the programs that the cluster file names by file:."
  default     = "none"
}

variable "wheels" {
  type        = string
  description = "Directory with the wheels of Salt and of pip, for machines that do not reach the package index."
  default     = "none"
}

variable "user" {
  type        = string
  description = "The base image's own user, who may call sudo: debian, ubuntu; admin on Debian's AMIs."
  default     = "debian"
}

variable "accelerator" {
  type        = string
  description = "What runs the QEMU builder's machine: kvm, or tcg, an emulation that needs nothing of the hardware and is many times slower."
  default     = "kvm"
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
  accelerator      = var.accelerator
  cpus             = 2
  memory           = 2048
  output_directory = "image"

  # cloud-init asks here whom it shall let in: ./seed wrote the answer.
  http_directory = "seed.d"
  qemuargs       = [["-smbios", "type=1,serial=ds=nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"]]

  ssh_username         = var.user
  ssh_private_key_file = "seed.key"
  ssh_timeout          = "30m"
  shutdown_command     = "sudo systemctl poweroff"
}

source "amazon-ebs" "image" {
  ami_name      = "kgen-__VERSION__-__RECIPE__"
  instance_type = "t3.medium"
  region        = var.region
  source_ami    = var.source_ami
  ssh_username  = var.user

  # `kgen publish --launch-templates` finds the AMI by its recipe.
  tags = {
    "kgen:kubernetes" = "__VERSION__"
    "kgen:recipe"     = "__DIGEST__"
  }
}

build {
  sources = ["source.qemu.image", "source.amazon-ebs.image"]

  # Neither in /tmp, which may be small, and is emptied, nor in anybody's home.
  provisioner "shell" {
    inline = ["for name in recipe archives files wheels; do sudo install -d -o \"$(id -un)\" /opt/kgen-bake/$name; done"]
  }

  provisioner "file" {
    sources     = ["../apply", "../images.txt", "../scripts", "../salt", "../pillar"]
    destination = "/opt/kgen-bake/recipe/"
  }

  provisioner "file" {
    source      = "${var.archives}/"
    destination = "/opt/kgen-bake/archives"
  }

  provisioner "file" {
    source      = "${var.files}/"
    destination = "/opt/kgen-bake/files"
  }

  provisioner "file" {
    source      = "${var.wheels}/"
    destination = "/opt/kgen-bake/wheels"
  }

  provisioner "shell" {
    inline = [
      "cd /opt/kgen-bake",
      "chmod +x recipe/apply",
      "[ -z \"$(ls wheels)\" ] || wheels='--wheels wheels'",
      "sudo recipe/apply --image --archives archives --files files $wheels /",
      "sudo rm -rf /opt/kgen-bake",
    ]
  }
}
