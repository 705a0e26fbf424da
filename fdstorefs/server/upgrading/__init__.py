"""An upgrade in place: a new program's server takes over from the one that serves, and nobody's request fails.

`talk` is how the two speak. `outgoing` is the server that serves, until the new one has all it needs; `incoming` is the
new one, as far as it waits to be told; `passing` is what goes from one to the other at last.
"""
