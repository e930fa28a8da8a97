"""Probes: linear classifiers of whole texts, fitted on a model's state."""
