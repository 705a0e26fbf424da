"""Who is measured and what measures them: C and Python clients, s6, a floor, a bare file system."""
