"""The course over the toolkit: its workspace, its exercises, and the labs built from its source.

The toolkit imports nothing of this package.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the clone, where ``notebooks/``, ``labs_pt/`` and ``labs_en/`` stand."""

NOTEBOOKS = ROOT / "notebooks"
