"""The web application: Gradio pages mounted on the API."""
