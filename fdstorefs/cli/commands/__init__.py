"""The verbs. Each module has EXAMPLES, `configure(parser)` and `run(options)`; `cli.verbs` lists them."""
