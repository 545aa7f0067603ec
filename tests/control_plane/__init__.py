"""The control-plane tier: the real components and clients, one network namespace per machine, no virtual machine."""
