"""Questions to a model, answered by its trace or by what it predicts."""
