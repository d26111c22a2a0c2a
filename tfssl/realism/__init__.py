"""Real or fake? The human test of colorization: pairs of images, the page that shows them, the score of the answers."""
