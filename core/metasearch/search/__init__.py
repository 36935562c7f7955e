"""The search itself, pure: no cluster, files, clock, environment or global randomness."""
