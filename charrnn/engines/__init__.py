"""What computes a training step (numpy, the compiled passes, torch), with how many threads and processes. torch
lives here only."""
