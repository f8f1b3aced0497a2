"""How the text of a flow is checked. Called by podium.flows.load only."""
