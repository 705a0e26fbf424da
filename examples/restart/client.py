"""A client that never stops asking: a request after the other, until its standard input ends.

Prints a line when it meets a server and another when that server has answered a while, and at the end how many
requests were answered and how many were refused.
"""

import select
import sys
import time
import urllib.error
import urllib.request

A_WHILE = 300

url = f"http://127.0.0.1:{sys.argv[1]}/"
answered, refused, cut_off, slowest, last, met = 0, 0, 0, 0.0, "", 0
while not select.select([sys.stdin], [], [], 0)[0]:
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            body = response.read().decode().strip()
        answered += 1
    except (urllib.error.URLError, OSError) as error:
        # A request that its server was answering when it was killed is cut off; nothing can save that one.
        reason = getattr(error, "reason", error)
        refused += isinstance(reason, ConnectionRefusedError)
        cut_off += not isinstance(reason, ConnectionRefusedError)
        continue
    slowest = max(slowest, time.monotonic() - begin)
    if body != last:
        print(f"request {answered} was answered by {body}", flush=True)
        last, met = body, answered
    elif answered == met + A_WHILE:
        print(f"request {answered} was answered by {body}", flush=True)
print(
    f"{answered} requests answered, {refused} refused, {cut_off} cut off by the kill; "
    f"the slowest took {slowest * 1000:.0f} ms",
    flush=True,
)
