"""The editor: any file of a source's repository, a new flow, the flow one looks at."""
