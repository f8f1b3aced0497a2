"""Dashboards: what is stored of them, and the rows of their charts."""
