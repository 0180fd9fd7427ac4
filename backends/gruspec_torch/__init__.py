"""gruspec's torch adapter."""
