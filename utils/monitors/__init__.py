"""The monitors: measures over plain frames, each with its interval, in the measurements table.

Import the monitor that is needed, for example ``from utils.monitors import performance``.
"""
