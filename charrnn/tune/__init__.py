"""The search for settings: Optuna draws them, stores the trials and stops poor ones; training is ours."""
