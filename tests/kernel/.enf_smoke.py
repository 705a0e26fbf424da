import logging, os, sys, threading, signal, time, json, socket, array, subprocess
sys.path.insert(0, os.getcwd()); sys.path.insert(0, os.getcwd()+"/tests/kernel/.lib"); os.environ["PYTHONPATH"]=os.getcwd()+"/tests/kernel/.lib"
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(relativeCreated)d %(name)s %(message)s")
os.makedirs("/etc/fdstorefs/policies", exist_ok=True)
policy = """version: 1
name: p
rules:
  - {id: mem, effect: allow, actions: [stash, retrieve, list, describe], entries: ["**"]}
  - {id: no-carol, effect: forbid, actions: [retrieve, take], subject: {uid: [1003]}}
"""
open("/etc/fdstorefs/policies/p.yaml","w").write(policy)
from fdstorefs.enforcer.options import EnforceOptions
from fdstorefs.enforcer.enforcer import run
from fdstorefs.audit.options import AuditOptions
from fdstorefs.audit.target import parse_targets
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        run(EnforceOptions(ready_fd=w, audit=AuditOptions(parse_targets(["stderr"]))))
    except BaseException as e:
        import traceback; traceback.print_exc()
        print("log", getattr(e, "log", ""), getattr(e, "hint", ""))
        os._exit(1)
    os._exit(0)
os.close(w)
print("ready:", os.read(r, 10))
def call(method, parameters, fds=()):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/fdstorefs/enforcer.sock")
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    s.sendmsg([json.dumps({"method": "io.fdstorefs.Enforcer."+method, "parameters": parameters}).encode()+b"\0"], anc)
    d = b""
    while not d.endswith(b"\0"):
        p = s.recv(65536)
        if not p: break
        d += p
    return json.loads(d[:-1]) if d else None
print("status", call("Status", {}))
# serve
os.makedirs("/run/fds", exist_ok=True)
from fdstorefs.server.options import ServeOptions
r2, w2 = os.pipe()
srv = os.fork()
if srv == 0:
    os.close(r2)
    from fdstorefs.server.instance import serve
    try:
        serve(ServeOptions(mount="/run/fds", ready_fd=w2, enforcement="kernel", policies=("/etc/fdstorefs/policies",)))
    except BaseException as e:
        import traceback; traceback.print_exc(); print(getattr(e,"hint",""))
        os._exit(1)
    os._exit(0)
os.close(w2)
print("serve ready:", os.read(r2, 10))
print("status", json.dumps(call("Status", {}), indent=1))
from fdstorefs.client.store import Store
store = Store("/run/fds") if not hasattr(Store,"connect") else Store.connect("/run/fds")
fd = os.memfd_create("hello"); os.write(fd, b"hi")
print("stash", store.stash("a", fd) if hasattr(store,"stash") else dir(store))
try:
    print("retrieve", store.retrieve("a"))
except Exception as e: print("retrieve failed", repr(e))
print("status", json.dumps(call("Status", {})["parameters"]["instances"]))
p = os.fork()
if p == 0:
    os.setresgid(1003,1003,1003); os.setresuid(1003,1003,1003)
    try:
        s2 = Store("/run/fds") if not hasattr(Store,"connect") else Store.connect("/run/fds")
        print("carol", s2.retrieve("a"))
    except Exception as e: print("carol failed", repr(e))
    os._exit(0)
os.waitpid(p, 0)
# carol handed it directly
a, b = socket.socketpair()
p = os.fork()
if p == 0:
    os.setresgid(1003,1003,1003); os.setresuid(1003,1003,1003)
    m = b.recvmsg(10, 100); print("carol got", m[1], bool(m[2] & socket.MSG_CTRUNC)); os._exit(0)
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
os.waitpid(p, 0)
print("setmode", call("SetMode", {"policy": "p", "mode": "monitor"}))
p = os.fork()
if p == 0:
    os.setresgid(1003,1003,1003); os.setresuid(1003,1003,1003)
    m = b.recvmsg(10, 100); print("carol got (monitor)", m[1], bool(m[2] & socket.MSG_CTRUNC)); os._exit(0)
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
os.waitpid(p, 0)
os.kill(pid, signal.SIGTERM); print("enforcer ended", os.waitpid(pid, 0))
p = os.fork()
if p == 0:
    os.setresgid(1003,1003,1003); os.setresuid(1003,1003,1003)
    m = b.recvmsg(10, 100); print("carol got after end", m[1], bool(m[2] & socket.MSG_CTRUNC)); os._exit(0)
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
os.waitpid(p, 0)
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    try: run(EnforceOptions(ready_fd=w, audit=AuditOptions(parse_targets(["stderr"]))))
    except BaseException as e:
        import traceback; traceback.print_exc()
    os._exit(0)
os.close(w)
print("ready again:", os.read(r, 10))
time.sleep(3)
print("status", json.dumps(call("Status", {}), indent=1))
os.kill(srv, signal.SIGTERM); os.waitpid(srv, 0)
time.sleep(4)
print("status", json.dumps(call("Status", {})["parameters"]["instances"]))
os.kill(pid, signal.SIGTERM); os.waitpid(pid, 0)
