"""Images of what was learned, sheets, plots and pages. Nothing here knows a method."""
