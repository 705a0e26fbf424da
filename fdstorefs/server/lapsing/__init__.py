"""What goes by itself: the timer that entries expire by, and the watch over who hangs up."""
