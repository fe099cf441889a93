"""What a recorded log is good for: it is folded, decided anew, or reconstructed and held against what was simulated."""
