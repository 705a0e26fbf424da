"""The contestants' names, as tables and plots show them."""

FDSTOREFS = "fdstorefs"
C_CLIENT = "fdstorefs, C client"
PYTHON_CLIENT = "fdstorefs, Python client"
OUR_CLIENTS = (C_CLIENT, PYTHON_CLIENT)
S6 = "s6-fdholder"
S6_DUMP = "s6-fdholder, getdump"
FLOOR = "C floor"
BARE = "bare pyfuse3"
TMPFS = "tmpfs"
