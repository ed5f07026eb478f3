"""HTML for every page of ours: one environment of Jinja2, and the templates."""
