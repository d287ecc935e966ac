"""The primitives and their derivatives, one file for each subject."""
