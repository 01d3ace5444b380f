"""Benchmarks: against the fixed-16-step baseline on the same weights, and against the device's own matrix multiply."""
