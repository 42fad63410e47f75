"""Case reports: verdicts, their evidence and file hashes, as HTML or PDF."""
