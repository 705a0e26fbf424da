"""The Varlink service `io.fdstorefs.Store`: calls in, replies out, and descriptors beside both."""

from fdstorefs.server.varlink.listener import VarlinkServer, serve

__all__ = ["VarlinkServer", "serve"]
