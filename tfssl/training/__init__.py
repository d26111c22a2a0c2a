"""Training runs: ``model.fit`` with exact resume, progress and a run directory."""
