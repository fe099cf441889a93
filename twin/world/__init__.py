"""The simulated world: actors that hold the truth, on one integer clock."""
