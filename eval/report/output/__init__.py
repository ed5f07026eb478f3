"""Reports as files: HTML, Markdown, SVG and files for machines."""
