"""The jobs of the playground: one for each feature."""
