"""What a platform watches MetaSearch with, made from the catalogue of metrics: dashboards and alerts."""
