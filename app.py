"""The frame of the lab: `streamlit run app.py`."""

from pages.ui import frame

frame.run()
