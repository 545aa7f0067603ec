"""The first-boot payload and program: what a machine receives, before any emitter wraps it."""
