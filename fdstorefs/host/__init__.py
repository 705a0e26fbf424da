"""What the kernel tells the store, and what the store asks of the kernel."""
