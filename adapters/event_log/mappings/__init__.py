"""Mappings of public data sets, by name; the data sets themselves are not here."""
