"""The report on any captured data: read, judged by the monitors, told on one page.

It needs nothing of the course and none of its data.
"""
