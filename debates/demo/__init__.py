"""The demo content, in TOML files beside this one, and what loads it."""
