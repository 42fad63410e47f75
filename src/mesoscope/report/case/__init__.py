"""Reports that one hands over: verdicts, their evidence and their hashes, as HTML or PDF."""
