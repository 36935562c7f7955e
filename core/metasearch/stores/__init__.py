"""Stores of trials. Every store keeps the rules of `search.trials`; `base` says what it must offer."""
