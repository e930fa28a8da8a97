"""Results as rich renderables. rich lives here only; no maths."""
