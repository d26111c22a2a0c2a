"""Pictures of what was learned. Nothing here knows a method."""
