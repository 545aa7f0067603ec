"""A cluster's machines on this computer, under QEMU and without root: their network, disks, processes and consoles."""
