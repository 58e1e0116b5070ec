"""What the pages share and only Streamlit needs: the gate map component, widgets and state."""
