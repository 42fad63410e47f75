"""Threads, memory and logging of the process."""
