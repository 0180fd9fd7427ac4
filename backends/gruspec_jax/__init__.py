"""gruspec's jax adapter."""
