"""gruspec's numpy adapter."""
