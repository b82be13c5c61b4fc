"""Operators: one file per op, each a frozen set of rules; ``table.TABLE`` lists them."""
