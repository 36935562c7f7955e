"""A cluster in virtual time that can be disturbed, what a Prometheus would scrape of it, and which alerts that raises."""
