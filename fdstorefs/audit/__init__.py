"""The audit log: one line of JSON for every verdict on record, and for what changes the verdicts."""
