"""The pages of namespaces: the tree of all, one with its flows, files, keys, secrets and what podium.yaml gives it."""
