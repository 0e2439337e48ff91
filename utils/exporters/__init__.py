"""What leaves the toolkit in the forms of others, and comes back from them.

SageMaker Model Monitor: ``capture`` (requests, answers, ground truth), ``model_monitor`` (the
quality of data), ``model_quality``, ``clarify`` (bias and attribution), ``schedules`` (when a
monitor runs, and on which window) and ``cloudwatch`` (the metrics that it publishes). Import the
form that is needed, for example ``from utils.exporters import capture``.
"""
