"""The lab: `streamlit run app.py`.  Imported once as the server, then run as the script of every visit."""

if __name__ == "__main__":
    from pages.ui import frame

    frame.run()
else:
    import streamlit as st

    from pages.ui import ahead

    app = st.App(__file__, lifespan=ahead.lifespan)
