"""Dashboards as code: the language of `dashboards/*.yaml`."""
