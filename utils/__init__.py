"""Vigia: the toolkit under the course on monitoring machine-learning models.

Importing this package imports none of its rooms; import the room you need,
for example ``from utils.monitors import performance``.
"""

__version__ = "0.1.0"
