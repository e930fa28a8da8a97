"""What single cells have learnt: labels on text, recorded activations, scores, findings."""
