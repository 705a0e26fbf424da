"""The kernel side: LSM programs, what they share with Python, and what loads them."""
