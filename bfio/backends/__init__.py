"""Format families behind the reader protocol."""
