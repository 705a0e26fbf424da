"""The server's side of kernel enforcement: the link to the host's enforcer, and what depends on it."""
