"""The forms in which an analysis is printed: one module each, pure functions from `document.Analysis` to text."""
