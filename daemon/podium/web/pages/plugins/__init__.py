"""The catalogue of plug-ins: every installed type with its words, properties and examples."""
