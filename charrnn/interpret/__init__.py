"""The concepts that single cells have learnt (labels on text, recorded activations, scores, causal tests,
findings), and how far gradients reach."""
