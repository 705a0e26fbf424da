"""The Varlink service `io.fdstorefs.Store`: calls in, replies out, and descriptors beside both."""

from fdstorefs.server.varlink.listener import VarlinkServer, serve, take_over

__all__ = ["VarlinkServer", "serve", "take_over"]
