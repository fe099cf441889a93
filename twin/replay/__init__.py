"""A recorded log fed back, in one of three ways that are never mixed: fold, re-decide, reconstruct."""
