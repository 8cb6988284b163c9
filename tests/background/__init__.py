"""What workers, Beat and the broker do together, and what is left when they are killed."""
