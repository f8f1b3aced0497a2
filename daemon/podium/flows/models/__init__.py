"""The parts of podium.flows.model, which is the face that others import."""
