"""What the store costs, beside what others cost, measured in the same minutes on the same machine."""
