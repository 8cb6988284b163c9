"""What an operator copies from ``deploy/``: run where the programs are here, else parsed and checked."""
