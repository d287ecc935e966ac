"""Walks over the graph that ask each primitive for one thing."""
