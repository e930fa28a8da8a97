"""The engines that compute a training step (numpy, the compiled passes, torch), and their threads and
processes. torch lives here only."""
