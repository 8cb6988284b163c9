"""What happens when a part of the site stops, hangs or restarts under load: ``dev.py drill``."""
