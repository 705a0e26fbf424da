"""The main job in a minute: a server dies, another takes over its socket, and no client is refused.

Run by `make demo`, inside the namespaces that `fdstorefs run` made. Every command that it shows is the command
that it runs.
"""

import os
import pathlib
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PYTHON = sys.executable


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


def show(command: str) -> None:
    print(f"$ {command}", flush=True)


def run(command: str) -> str:
    show(command)
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="", flush=True)
    return done.stdout


def first_server() -> tuple["subprocess.Popen[str]", str]:
    show("python3 first_server.py &")
    server = subprocess.Popen([PYTHON, HERE / "first_server.py"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def next_line(client: "subprocess.Popen[str]") -> None:
    assert client.stdout is not None
    print(f"  client: {client.stdout.readline().strip()}", flush=True)


def main() -> int:
    say("An ordinary user, in a user namespace of his own, with a store of his own:")
    run("id -un; grep CapEff /proc/self/status; fdstorefs status | head -n 2")
    say("A web server stashes its listening socket:")
    first, port = first_server()
    run("fdstorefs ls -l")
    say("A client asks without a pause:")
    show(f"python3 client.py {port} &")
    client = subprocess.Popen(
        [PYTHON, HERE / "client.py", port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    next_line(client)
    next_line(client)
    say("The server is killed. Its socket is not: the store holds it, and requests wait in its queue.")
    show(f"kill -9 {first.pid}")
    first.kill()
    first.wait()
    say("Another program, in another language, takes over:")
    command = f"fdstorefs exec web -- perl {shlex.quote(str(HERE / 'second_server.pl'))}"
    show("fdstorefs exec web -- perl second_server.pl &")
    second = subprocess.Popen(shlex.split(command))
    next_line(client)
    next_line(client)
    assert client.stdin is not None
    client.stdin.close()
    next_line(client)
    second.kill()
    second.wait()
    say("Somebody else's namespace sees nothing of it:")
    run("fdstorefs run -- fdstorefs ls | wc -l")
    return client.wait()


if __name__ == "__main__":
    os.environ["PATH"] = f"{pathlib.Path(PYTHON).parent}:{os.environ['PATH']}"
    raise SystemExit(main())
