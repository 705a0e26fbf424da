"""`python -m fdstorefs` is the command `fdstorefs`."""

from fdstorefs.cli.main import entry

entry()
