"""The jobs of the playground: one for each thing that a job can do."""
