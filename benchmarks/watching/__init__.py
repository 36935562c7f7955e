"""A cluster in virtual time that can be disturbed, what would be scraped of it, and which alerts that raises."""
