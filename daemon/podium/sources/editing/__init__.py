"""What a change of a repository by a person may be: paths, conflicts, the place of a flow, mistakes. Called by publish."""
