"""A web server that stashes its listening socket and then serves until it is killed."""

import http.server
import sys

import fdstorefs


class Answer(http.server.BaseHTTPRequestHandler):
    """Says who it is."""

    def do_GET(self) -> None:
        body = b"the first server, in Python\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
with fdstorefs.connect() as store:
    store.stash("web", server.socket)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
