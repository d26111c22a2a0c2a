"""Custom layers, one a file: keras and keras.ops only, so that they run on every backend."""
