"""One door for pictures in: type by content, not by suffix."""
