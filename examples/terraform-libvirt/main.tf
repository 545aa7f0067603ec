# The listed machines of a cluster on libvirt. Seeds come from kgen: run `kgen render` and `kgen seed`. Another path of a
# seed or of the image does not replace what machines use: `kgen apply` changes running ones.

resource "libvirt_network" "cluster" {
  name      = var.name
  mode      = "nat"
  addresses = [var.network]
  autostart = true

  dhcp {
    enabled = true
  }
}

resource "libvirt_volume" "image" {
  name   = "${var.name}-image"
  pool   = var.pool
  source = var.image
  format = "qcow2"

  # The disks are layers over this volume. Another image in its place would damage them.
  lifecycle {
    ignore_changes = [source]
  }
}

resource "libvirt_volume" "disk" {
  for_each = var.machines

  name           = "${var.name}-${each.key}"
  pool           = var.pool
  base_volume_id = libvirt_volume.image.id
  size           = each.value.disk_gib * 1024 * 1024 * 1024

  lifecycle {
    ignore_changes = [base_volume_id]
  }
}

# The ISO image of `kgen seed`, not a libvirt_cloudinit_disk: that would put user-data, with its keys, into the state, and
# would be a CD-ROM on IDE, for which kernels of clouds have no driver.
resource "libvirt_volume" "seed" {
  for_each = var.machines

  name   = "${var.name}-${each.key}-seed"
  pool   = var.pool
  source = "${var.outputs}/seed/${each.key}.iso"
  format = "raw"

  lifecycle {
    ignore_changes = [source]
  }
}

resource "libvirt_domain" "machine" {
  for_each = var.machines

  name      = "${var.name}-${each.key}"
  vcpu      = each.value.vcpus
  memory    = each.value.memory_mib
  autostart = true

  # Only for an image without boot loader.
  kernel = var.kernel
  initrd = var.initrd
  cmdline = var.kernel == null ? null : [
    { root = "/dev/vda", console = "ttyS0", "_" = "rw" },
  ]

  cpu {
    mode = "host-passthrough"
  }

  disk {
    volume_id = libvirt_volume.disk[each.key].id
  }

  disk {
    volume_id = libvirt_volume.seed[each.key].id
  }

  network_interface {
    network_id = libvirt_network.cluster.id
    hostname   = each.key
    mac        = each.value.mac
    addresses  = [each.value.address]
  }

  console {
    type        = "pty"
    target_type = "serial"
    target_port = "0"
  }
}
