"""The server of one instance: what clients reach through the mount and its socket."""
