"""Daemon enforcement: mode bits, policy and record, asked by the store for every request."""
