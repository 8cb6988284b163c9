"""The yardstick: one view behind the middleware that ``startproject`` writes, and nothing else."""
