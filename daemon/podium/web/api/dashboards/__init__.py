"""Dashboards over the API: the files, their charts, CSV."""
