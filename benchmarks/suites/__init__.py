"""The benchmarks, one a file; each returns an Outcome."""
