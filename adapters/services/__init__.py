"""Sample decision services: start yours from one of them."""
