"""What segmentation and surface normals share: a head that answers at every pixel, its training, tests and files."""
