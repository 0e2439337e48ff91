"""What leaves the toolkit in the forms of others, and comes back from them.

``capture`` reads and writes what an endpoint was asked and answered, as SageMaker captures it.
Import the form that is needed, for example ``from utils.exporters import capture``.
"""
