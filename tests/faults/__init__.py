"""Servers that stop, hang and come back, and what a reader sees meanwhile."""
