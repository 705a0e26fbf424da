"""The soak: an instance under everything that clients do, for a long time, killed every so often.

Read it in this order: `model` is what a client knows of its entries, `client` what it does, `samples` what the
instance costs, `soak` the run, `plot` the picture of it.
"""
