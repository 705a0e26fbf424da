"""The Python client of an instance: the errors and the standard library, nothing else."""
