"""Context as supervisory signal: patches whose surroundings the others of their cluster predict, as objects do."""
