terraform {
  required_version = ">= 1.5, < 2.0"

  required_providers {
    libvirt = {
      source  = "dmacvicar/libvirt"
      version = "~> 0.8.0" # 0.9 has other names for nearly everything
    }
  }
}
