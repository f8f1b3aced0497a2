"""The text of a flow file as a tree with places, edits of it, and what is inside its expressions. Called by the rewriting rules only."""
