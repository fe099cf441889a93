"""Replay: a log taken as facts, in three ways that are never mixed."""
