"""AlterLab's engine: everything the app shows is measured here, without streamlit.

Pages ask, core answers, jobs work, the run store remembers.  Map: ARCHITECTURE.md.
"""

__version__ = "0.1.0"
