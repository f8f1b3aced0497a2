"""The files of a namespace over the API, and the names of its secrets."""
