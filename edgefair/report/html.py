def render_html(report: dict, gallery: dict) -> str:
    return "<html></html>"
