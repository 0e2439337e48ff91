"""What each chapter asks: one module ``chNN`` for each, with its ``CHAPTER``."""
