"""Protocols that cut what comes into pieces."""
