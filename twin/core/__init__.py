"""The orchestration and sourcing logic: one deterministic engine, the same code in the twin and in production.

Pure: the standard library and msgspec; no clock, no randomness, no I/O, no logging. Start reading at
`events.py` (the glossary), then `engine.py`.
"""
