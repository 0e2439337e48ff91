"""Data with a known truth: credit, cars, flights; what goes wrong with it, and when labels come.

Importing this package imports none of its modules; import the one you need,
for example ``from utils.datasets import flights``.
"""
