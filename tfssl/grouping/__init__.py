"""What belongs together in an image, from how often its colors occur beside each other."""
