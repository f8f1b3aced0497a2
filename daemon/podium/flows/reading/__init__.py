"""From text to data with places: what load does before the rules. Called by podium.flows.load and the rules only."""
