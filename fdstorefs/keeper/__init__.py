"""The keeper: a small process that holds a copy of every stored descriptor, and starts the server again when it dies.

Read it in this order: `wire` is what the two say to each other, `holding` what the keeper has, `keeper` what it does,
with `fork`, `server`, `signals` and `pauses`. What is seldom comes after that: `spare`, `adoption` and `replacement`
are how a server has another keeper when its own was killed; `upgrade`, `program` and `succession` how another version
takes over; `unit_store`, `unit_record` and `started_again` what systemd keeps. It needs the standard library alone,
knows nothing of policy, FUSE and clients, and never listens to anybody but its server.

The keeper has one thread. Closing a descriptor may block for ever (a FUSE file is flushed by each close), so such ones
are closed by threads that do nothing else: at any moment they are in close(2), and hold no lock that a fork would
leave behind.
"""
