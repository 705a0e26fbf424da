"""Echo servers, one an event loop: the same few lines of work in each."""
