"""The policy language: source, parse, check, compile, decide; pure but for reading a file."""
