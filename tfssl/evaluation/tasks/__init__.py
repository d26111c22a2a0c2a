"""Transfer tasks, one a module: an encoder in, numbers out."""
