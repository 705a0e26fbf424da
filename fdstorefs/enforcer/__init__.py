"""The host's enforcer: puts policies into the kernel, registers instances, and logs what the kernel decides."""
