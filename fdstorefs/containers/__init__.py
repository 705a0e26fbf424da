"""Instances for containers, started on demand outside of them.

Read it in this order: `container` is what is held of one, `errand` how something is done in its mount namespace without
being there, `mounting` what, `place` makes of that what an instance needs, `keeping` is the instance's two processes,
and `service` answers who asks for one.

An instance belongs to neither world. Its server has the rights of the container's root, for it is in that user
namespace, and the host's files, processes and program code, for it is in the host's mount and pid namespaces: what
the container can write, it never opens, imports or executes.
"""
