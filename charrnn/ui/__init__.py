"""Results as views: in a terminal, as web pages, as the lesson's screens. rich lives here only; no maths."""
