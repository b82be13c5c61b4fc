"""Boards: what each has of memory and speed, and what its core takes of it."""
