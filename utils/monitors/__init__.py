"""The monitors: measures over plain frames, each with its interval, in the measurements table.

Import the monitor that is needed, for example ``from utils.monitors import performance``. Nothing
here knows the course, the store or the network: a frame goes in, a table comes out.

**The whole dashboard.** ``suite`` runs every monitor over a frame, with thresholds (``thresholds``)
that keep one budget of false alarms for all of them; ``alerts`` says what to do first; and where
it is known what went wrong, ``scoreboard`` says whether they were right.

**One question each.** Of the data: ``contract`` (and ``odcs``), ``quality``, ``schema``, ``units``,
``constraints``. Of the world: ``drift`` (over ``distances``), ``domain``. Of the answers:
``performance``, ``estimation`` before there are labels, ``calibration``, ``costs``. Of people:
``fairness``, ``bias``, ``attribution``, ``privacy``. Of the service: ``infrastructure``,
``sizing``, ``requests``, ``security``.

**How.** A ``measures.Measure`` is sums over rows: it reads a frame once (``blocks``,
``profile``), and windows, periods and quiet windows that never were are made by adding.
"""
