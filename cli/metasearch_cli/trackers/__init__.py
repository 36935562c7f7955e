"""Learning curves and scores for experiment trackers: TensorBoard and MLflow."""
