"""How a W&B server is spoken to."""
