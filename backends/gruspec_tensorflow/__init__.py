"""gruspec's tensorflow adapter."""
