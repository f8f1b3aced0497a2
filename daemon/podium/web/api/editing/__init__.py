"""Writing to the repositories of the sources over the API: any file of them, flows, namespace files."""
