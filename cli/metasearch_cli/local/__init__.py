"""A search on one machine: a driver, its worker processes, and the folder they leave their results in."""
