"""What occurs again and again in images: patch index, constellations, mining, purity and coverage, its page."""
