"""The boot tier: whole machines under QEMU, from power-on to Ready and through what goes wrong."""
