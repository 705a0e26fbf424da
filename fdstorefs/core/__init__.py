"""The store itself, pure: names, entries, boxes, ownership, limits and events, and no I/O whatever."""
