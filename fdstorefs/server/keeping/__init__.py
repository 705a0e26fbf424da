"""What outlives the server: the journal of its store, the line to the keeper, and a store built again from both."""
