"""Where records go: a file, standard error, the journal, syslog. Each is called by one thread at a time."""
